"""Large files through the service as a process, by clients as they are."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import URL, func, select
from sqlalchemy.orm import Session

from shared.database.engine import open_engine
from shared.database.resources import File
from tests.api.live_server import PATIENCE, LiveServer, environment, live_server
from tests.fakes.database import DatabaseServer

LIMIT = 1024 * 1024


@pytest.fixture
def database(server: DatabaseServer) -> Iterator[URL]:
    with server.database() as url:
        yield url


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def live(database: URL, store: Path, tmp_path: Path) -> Iterator[LiveServer]:
    environ = environment(database, store, OASIS_SERVER_UPLOAD_LIMIT=str(LIMIT))
    with live_server(environ, tmp_path / "api.log") as running:
        yield running


@pytest.fixture
def client(live: LiveServer) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.auth = ("admin", "password")
        yield session


@pytest.fixture
def url(live: LiveServer, client: requests.Session) -> str:
    created = client.post(f"{live.url}/v2/portfolios/", json={"name": "a"}, timeout=PATIENCE)
    return f"{live.url}/v2/portfolios/{created.json()['id']}/location_file/"


def _left(database: URL, store: Path) -> tuple[int | None, list[Path]]:
    engine = open_engine(database, name="tests")
    with Session(engine) as session:
        rows = session.scalar(select(func.count()).select_from(File))
    engine.dispose()
    return rows, [path for path in store.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [LIMIT + 1, 32 * LIMIT])
def test_a_file_beyond_the_limit_is_told_so_however_large(
    client: requests.Session, url: str, database: URL, store: Path, size: int
) -> None:
    answer = client.post(url, files={"file": ("a.csv", b"x" * size, "text/csv")}, timeout=PATIENCE)

    assert answer.status_code == 413
    assert "bytes are taken here" in answer.json()["detail"]
    assert _left(database, store) == (0, [])


def test_a_download_that_broke_goes_on_where_it_was(client: requests.Session, url: str) -> None:
    content = bytes(range(32, 127)) * 10_000
    client.post(url, files={"file": ("a.csv", content, "text/csv")}, timeout=PATIENCE)

    begun = client.get(url, stream=True, timeout=PATIENCE)
    first = begun.raw.read(100_000)
    begun.close()
    headers = {"Range": f"bytes={len(first)}-", "If-Range": begun.headers["ETag"]}
    rest = client.get(url, headers=headers, timeout=PATIENCE)

    assert rest.status_code == 206
    assert first + rest.content == content


def test_a_client_that_dies_while_it_sends_leaves_nothing(
    live: LiveServer, client: requests.Session, url: str, database: URL, store: Path
) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    authorization = requests.Request("GET", url, auth=("admin", "password")).prepare().headers["Authorization"]
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        head = (
            f"POST {url.removeprefix(live.url)} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 600000\r\n\r\n"
        )
        connection.sendall(head.encode() + body + b"x" * 300_000)

    # The connection is closed, and the thread that served it is free again: so what it left would be there.
    deadline = time.monotonic() + PATIENCE
    while client.get(url, timeout=PATIENCE).status_code != 404:
        assert time.monotonic() < deadline
    assert _left(database, store) == (0, [])
