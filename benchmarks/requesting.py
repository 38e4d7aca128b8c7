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


@dataclass(frozen=True)
class Content:
    """A large file, which is made of one block again and again."""

    filename: str
    content_type: str
    block: bytes


def compressed() -> Content:
    """What a compressed file looks like, for nothing to make it smaller."""
    with Path("/dev/urandom").open("rb") as source:
        return Content("large.bin", "application/octet-stream", source.read(_BLOCK))


def locations() -> Content:
    """Rows of a location file, which are counted when it is taken in; there are no names of columns."""
    row = b"1,A11111,10002082046,1,1,1,GB,52.76698052,-0.895469856,1,A,1,A,1,5050,1,1,GBP,220000,0,0,0,WSS\n"
    return Content("large.csv", "text/csv", (row * (_BLOCK // len(row))).ljust(_BLOCK, b"\n"))


def upload(target: Target, path: str, size: int, content: Content) -> None:
    """POST a file of so many bytes, which is never in memory as a whole. Raises RequestFailed."""
    disposition = f'form-data; name="file"; filename="{content.filename}"'
    head = f"--{_BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: {content.content_type}\r\n\r\n"
    tail = f"\r\n--{_BOUNDARY}--\r\n"
    headers = target.headers() | {
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(head) + size + len(tail)),
    }
    with target.connected() as connection:
        connection.request(
            "POST", path, body=_parts(head.encode(), content.block, size, tail.encode()), headers=headers
        )
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


def _parts(head: bytes, block: bytes, size: int, tail: bytes) -> Iterator[bytes]:
    """The body of a form."""
    yield head
    for _ in range(size // len(block)):
        yield block
    yield block[: size % len(block)]
    yield tail
