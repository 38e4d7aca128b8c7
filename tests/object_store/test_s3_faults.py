"""S3 when the wire or the server fails."""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from shared.object_store import ObjectStoreUnavailable, S3Settings
from shared.object_store.s3 import S3Store
from tests.object_store.cutting_proxy import CuttingProxy, cutting_proxy
from tests.object_store.operations import OPERATIONS, Operation
from tests.object_store.s3_server import S3Server
from tests.object_store.streams import MIB, PatternStream

HASTY = S3Settings(
    bucket="bucket",
    region="us-east-1",
    access_key_id="key",
    secret_access_key="secret",
    connect_timeout=0.2,
    read_timeout=0.2,
    retries=1,
)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[CuttingProxy]:
    with cutting_proxy(s3.endpoint_url) as running:
        yield running


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_that_is_down_is_unavailable(operation: Operation) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings = replace(HASTY, endpoint_url=f"http://127.0.0.1:{closed.getsockname()[1]}")

        with S3Store(settings) as store, pytest.raises(ObjectStoreUnavailable, match="does not answer") as caught:
            operation(store)

    assert caught.value.retryable


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_that_accepts_but_never_answers_is_unavailable(operation: Operation) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        settings = replace(HASTY, endpoint_url=f"http://127.0.0.1:{mute.getsockname()[1]}")

        with S3Store(settings) as store, pytest.raises(ObjectStoreUnavailable, match="does not answer"):
            operation(store)


def test_the_check_does_not_wait_for_the_timeouts_of_transfers() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        settings = replace(HASTY, endpoint_url=endpoint, read_timeout=60.0, retries=5)

        began = time.monotonic()
        with S3Store(settings) as store, pytest.raises(ObjectStoreUnavailable):
            store.check()

    assert time.monotonic() - began < 6


@pytest.mark.integration
def test_a_connection_cut_while_reading_is_never_a_short_object(
    s3_store: S3Store, s3_settings: S3Settings, proxy: CuttingProxy, tmp_path: Path
) -> None:
    s3_store.put("key", PatternStream(4 * MIB))
    with S3Store(replace(s3_settings, endpoint_url=proxy.url)) as store:
        store.check()
        proxy.limit = 2 * MIB
        with store.open("key") as reader, pytest.raises(ObjectStoreUnavailable):
            reader.read()
        with pytest.raises(ObjectStoreUnavailable):
            store.get_file("key", tmp_path / "file")
        assert list(tmp_path.iterdir()) == []

        proxy.limit = None
        store.get_file("key", tmp_path / "file")
    assert (tmp_path / "file").stat().st_size == 4 * MIB


@pytest.mark.integration
def test_an_upload_whose_answers_are_lost_leaves_the_old_object_or_the_new_one(
    s3_store: S3Store, s3_settings: S3Settings, proxy: CuttingProxy
) -> None:
    s3_store.put("key", io.BytesIO(b"old"))
    with S3Store(replace(s3_settings, endpoint_url=proxy.url, retries=1)) as store:
        store.check()
        proxy.limit = 0
        with pytest.raises(ObjectStoreUnavailable):
            store.put("key", io.BytesIO(b"new"))

    with s3_store.open("key") as reader:
        assert reader.read() in {b"old", b"new"}


@pytest.mark.integration
def test_connections_are_used_again(s3_store: S3Store, s3_settings: S3Settings, proxy: CuttingProxy) -> None:
    with S3Store(replace(s3_settings, endpoint_url=proxy.url)) as store:
        for number in range(20):
            store.put(f"many/{number}", io.BytesIO(b"content"))
            with store.open(f"many/{number}") as reader:
                assert reader.read() == b"content"
        store.delete_prefix("many")

    assert proxy.connections == 1


class _LateError(BaseHTTPRequestHandler):
    """A server that finds only after having answered 200 that it failed, as S3 may for joins and copies."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"", {"ETag": '"etag"', "Last-Modified": "Sun, 01 Jun 2025 00:00:00 GMT"})

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "x-amz-copy-source" in self.headers:
            self._answer(b"<Error><Code>InternalError</Code><Message>late</Message></Error>")
        else:
            self._answer(b"", {"ETag": '"part"'})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "uploads=" in self.path:
            self._answer(b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        else:
            self._answer(b"<Error><Code>InternalError</Code><Message>late</Message></Error>")

    def _answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def late_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _LateError) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_error_inside_an_answer_of_200_is_an_error() -> None:
    with late_server() as url, S3Store(replace(HASTY, endpoint_url=url, read_timeout=5.0)) as store:
        with pytest.raises(ObjectStoreUnavailable, match="not the whole"):
            store.put("key", PatternStream(9 * MIB))
        with pytest.raises(ObjectStoreUnavailable, match="did not finish copying"):
            store.copy("key", "target")
