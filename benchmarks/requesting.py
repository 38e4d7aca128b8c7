"""Requests to a running API over kept connections, and what they take."""

import http.client
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20
_BOUNDARY = "a-boundary-that-no-file-has"


class RequestFailed(Exception):
    """The API has answered something else than it should have."""


@dataclass(frozen=True)
class Target:
    """An API, by its port on this machine, and a token that it takes."""

    host: str
    port: int
    token: str

    @contextmanager
    def connected(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is kept from request to request."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=300)) as connection:
            yield connection

    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}


def ask(connection: http.client.HTTPConnection, target: Target, path: str) -> bytes:
    """The body of the answer to a GET. Raises RequestFailed."""
    connection.request("GET", path, headers=target.headers())
    return _body(connection, path)


def seconds_of_each(target: Target, paths: Sequence[str]) -> list[float]:
    """What each request takes, one after the other on one connection that is there already."""
    with target.connected() as connection:
        ask(connection, target, "/healthcheck/")
        return [_timed(connection, target, path) for path in paths]


def per_second(target: Target, paths: Sequence[str], clients: int) -> float:
    """Requests that are answered in a second when so many clients ask at once, each without a pause."""
    shares = [paths[number::clients] for number in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda share: seconds_of_each(target, share), shares))
    return len(paths) / (time.perf_counter() - began)


def upload(target: Target, path: str, size: int) -> None:
    """POST a file of so many bytes, which is never in memory as a whole. Raises RequestFailed."""
    disposition = 'form-data; name="file"; filename="large.bin"'
    head = f"--{_BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
    tail = f"\r\n--{_BOUNDARY}--\r\n"
    headers = target.headers() | {
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(head) + size + len(tail)),
    }
    with target.connected() as connection:
        connection.request("POST", path, body=_parts(head.encode(), size, tail.encode()), headers=headers)
        _body(connection, path)


def download(target: Target, path: str) -> int:
    """GET a file, block by block. Returns its bytes. Raises RequestFailed."""
    with target.connected() as connection:
        connection.request("GET", path, headers=target.headers() | {"Accept": "*/*"})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise RequestFailed(f"GET {path}: {answer.status}")
        return sum(len(block) for block in iter(lambda: answer.read(_BLOCK), b""))


def _timed(connection: http.client.HTTPConnection, target: Target, path: str) -> float:
    began = time.perf_counter()
    ask(connection, target, path)
    return time.perf_counter() - began


def _body(connection: http.client.HTTPConnection, path: str) -> bytes:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise RequestFailed(f"{path}: {answer.status} {body[:300]!r}")
    return body


def _parts(head: bytes, size: int, tail: bytes) -> Iterator[bytes]:
    """The body of a form; the file is what a compressed one looks like, for nothing to make it smaller."""
    yield head
    with Path("/dev/urandom").open("rb") as source:
        block = source.read(_BLOCK)
    for _ in range(size // _BLOCK):
        yield block
    yield block[: size % _BLOCK]
    yield tail
