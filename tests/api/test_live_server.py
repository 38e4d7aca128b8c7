"""The service as a process, asked by the published client."""

import io
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import URL

from shared.database.engine import open_engine
from shared.messages.catalogue import AttemptFinished
from shared.object_store.directory import DirectoryStore
from tests.api.api_client import ACCOUNTS, ANALYSIS_SETTINGS, LOCATIONS
from tests.api.live_server import PATIENCE, LiveServer, environment, live_server
from tests.fakes.database import DatabaseServer
from tests.worker_monitor.history import MODEL_QUEUE, History

LARGEST_IDLE_WORKER = 100 * 1024 * 1024
"""Bytes."""


@pytest.fixture
def database(server: DatabaseServer) -> Iterator[URL]:
    with server.database() as url:
        yield url


@pytest.fixture
def environ(database: URL, tmp_path: Path) -> dict[str, str]:
    store = tmp_path / "store"
    store.mkdir()
    return environment(database, store)


@pytest.fixture
def live(environ: dict[str, str], tmp_path: Path) -> Iterator[LiveServer]:
    with live_server(environ, tmp_path / "api.log") as running:
        yield running


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the client leaves what it uploads open
def test_the_published_client_uploads_creates_generates_and_cancels(live: LiveServer, tmp_path: Path) -> None:
    from oasislmf.platform_api.client import APIClient

    files = {"location.csv": LOCATIONS, "accounts.csv": ACCOUNTS, "settings.json": json.dumps(ANALYSIS_SETTINGS)}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    client = APIClient(live.url, "V2", auth_type="simple", username="admin", password="password")
    names = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "1"}
    model = client.api.post(f"{live.url}/v2/models/", json={**names, "run_mode": "V2"}).json()

    portfolio = client.upload_inputs(
        portfolio_name="homes",
        location_fp=str(tmp_path / "location.csv"),
        accounts_fp=str(tmp_path / "accounts.csv"),
        reporting_currency="GBP",
    )
    analysis = client.create_analysis(
        portfolio_id=portfolio["id"], model_id=model["id"], analysis_settings_fp=str(tmp_path / "settings.json")
    )
    queued = client.analyses.generate(analysis["id"]).json()
    assert queued["status"] == "INPUTS_GENERATION_QUEUED"
    client.cancel_generate(analysis["id"])

    read: Any = client.analyses.get(analysis["id"]).json()
    assert read["status"] == "INPUTS_GENERATION_CANCELLED"
    assert client.portfolios.location_file.get(portfolio["id"]).text == LOCATIONS
    assert client.portfolios.location_file.get_dataframe(portfolio["id"]).shape == (3, 4)
    # This one is asked for without a slash at its end.
    assert client.models.data_files(model["id"]).json() == []
    client.api.tkn_access = "expired"
    client.api.headers["authorization"] = "Bearer expired"
    assert client.analyses.get(analysis["id"]).ok
    client.api.close()


def test_an_idle_worker_is_small(live: LiveServer) -> None:
    workers = psutil.Process(live.process.pid).children()

    assert len(workers) == 1
    assert workers[0].memory_info().rss < LARGEST_IDLE_WORKER


def test_a_request_under_way_is_finished_at_sigterm(live: LiveServer) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    body = b"username=admin&password=password"
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        head = (
            f"POST /access_token/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body[:5])
        _wait_for_a_thread_to_read(live)
        live.process.send_signal(signal.SIGTERM)
        _wait_until_it_stops_listening(live)
        connection.sendall(body[5:])
        answer = b""
        while block := connection.recv(65536):
            answer += block

    assert b" 200 OK\r\n" in answer
    assert b"access_token" in answer
    assert live.process.wait(PATIENCE) == 0


def test_settings_that_cannot_be_used_end_the_service_with_a_sentence(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "services.api"]
    public = environ | {"OASIS_API_HOST": "0.0.0.0"}  # noqa: S104 - that is what is refused
    keyless = {name: value for name, value in environ.items() if name != "OASIS_SERVER_SECRET_KEY"}

    for settings, words in ((public, "OASIS_SERVICE_PASSWORD_OR_SECRET"), (keyless, "OASIS_SERVER_SECRET_KEY")):
        ended = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert ended.returncode == 2
        assert words in ended.stderr
        assert "Traceback" not in ended.stderr


def _wait_for_a_thread_to_read(live: LiveServer) -> None:
    """Until the worker holds a connection, and not only the backlog of its listener."""
    _wait_for(lambda: psutil.CONN_ESTABLISHED in _connections(*psutil.Process(live.process.pid).children()))


def _wait_until_it_stops_listening(live: LiveServer) -> None:
    """The parent closes its listener when it stops, and tells the worker."""
    _wait_for(lambda: psutil.CONN_LISTEN not in _connections(psutil.Process(live.process.pid)))


def _connections(*processes: psutil.Process) -> list[str]:
    return [each.status for process in processes for each in process.net_connections("tcp")]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_whoever_follows_a_log_leaves_threads_for_the_others(
    environ: dict[str, str], database: URL, tmp_path: Path
) -> None:
    engine = open_engine(database, name="tests", pool_size=2)
    store = DirectoryStore(Path(environ["OASIS_MEDIA_ROOT"]))
    history = History(engine, store)
    history.request()
    grant = history.claim(MODEL_QUEUE, "a worker")
    assert grant is not None
    store.put(grant.log_key, io.BytesIO(b"reading\n"))
    who = ("admin", "password")
    with live_server(environ | {"OASIS_API_THREADS": "2"}, tmp_path / "api.log") as live:
        url = f"{live.url}/v2/analysis-task-statuses/{grant.sub_task_id}/output_log/?follow=true"
        with requests.get(url, auth=who, stream=True, timeout=PATIENCE) as following:
            blocks = following.iter_content(None)
            assert next(blocks) == b"reading\n"
            refused = requests.get(url, auth=who, timeout=PATIENCE)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            assert requests.get(f"{live.url}/healthcheck/", timeout=PATIENCE).ok
            history.tell(AttemptFinished(grant.attempt_id, "a worker"))
            assert list(blocks) == []
    engine.dispose()
