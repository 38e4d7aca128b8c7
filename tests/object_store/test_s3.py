"""What is special about S3: rights, buckets, parts, credentials."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4

import minio.api
import pytest

from shared.object_store import (
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
    S3Settings,
)
from shared.object_store.s3 import S3Store
from tests.object_store.operations import OPERATIONS, Operation
from tests.object_store.s3_server import S3Server
from tests.object_store.streams import MIB, PatternStream

pytestmark = pytest.mark.integration

WRONG = [
    pytest.param({"secret_access_key": "wrong"}, id="secret"),
    pytest.param({"access_key_id": "unknown"}, id="key"),
]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_credentials_are_denied(
    s3_store: S3Store, s3_settings: S3Settings, wrong: dict[str, str], operation: Operation
) -> None:
    s3_store.put("key", io.BytesIO(b"content"))
    settings = replace(s3_settings, auto_create_bucket=False, **wrong)

    with S3Store(settings) as stranger, pytest.raises(ObjectStoreDenied, match="refuses access") as caught:
        operation(stranger)

    assert not caught.value.retryable
    assert s3_settings.secret_access_key not in str(caught.value)
    with s3_store.open("key") as reader:
        assert reader.read() == b"content"


def test_a_bucket_that_is_missing_is_said_so(s3_settings: S3Settings) -> None:
    settings = replace(s3_settings, bucket=f"missing-{uuid4().hex}", auto_create_bucket=False)

    with S3Store(settings) as store:
        with pytest.raises(ObjectStoreUnavailable, match="OASIS_AWS_AUTO_CREATE_BUCKET"):
            store.check()
        with pytest.raises(ObjectStoreUnavailable, match="NoSuchBucket"):
            store.put("key", io.BytesIO())


@pytest.mark.parametrize("region", [None, "us-east-1"])
def test_a_bucket_is_created_when_the_settings_say_so(s3_settings: S3Settings, region: str | None) -> None:
    for first_use in (S3Store.check, lambda store: store.put("key", io.BytesIO(b"content"))):
        settings = replace(s3_settings, bucket=f"created-{uuid4().hex}", region=region)
        with S3Store(settings) as store, S3Store(settings) as other:
            first_use(store)
            first_use(other)
            store.check()
            assert not store.exists("another")
            store.delete("key")
            store._minio.remove_bucket(settings.bucket)


def test_two_locations_in_a_bucket_do_not_see_each_other(s3_store: S3Store, s3_settings: S3Settings) -> None:
    settings = replace(s3_settings, location=f"{s3_settings.location}-other")
    s3_store.put("a/key", io.BytesIO(b"content"))

    with S3Store(settings) as other:
        assert not other.exists("a/key")
        assert list(other.list("")) == []
        assert other.delete_prefix("a") == 0
    assert s3_store.exists("a/key")


def test_without_a_location_keys_are_names_in_the_bucket(s3_store: S3Store, s3_settings: S3Settings) -> None:
    s3_store.put("key", io.BytesIO(b"content"))

    with S3Store(replace(s3_settings, location="")) as whole:
        assert [info.key for info in whole.list(s3_settings.location)] == [f"{s3_settings.location}/key"]


def test_folder_markers_of_consoles_are_not_objects(s3_store: S3Store, s3_settings: S3Settings) -> None:
    for name in ("folder/", "a//b"):
        marker = f"{s3_settings.location}/{name}"
        s3_store._minio.put_object(s3_settings.bucket, marker, io.BytesIO(), 0)
    s3_store.put("folder/key", io.BytesIO(b"content"))

    assert [info.key for info in s3_store.list("")] == ["folder/key"]
    for name in ("folder/", "a//b"):
        s3_store._minio.remove_object(s3_settings.bucket, f"{s3_settings.location}/{name}")


def test_large_streams_go_in_parts_and_broken_ones_leave_none(s3_store: S3Store, s3_settings: S3Settings) -> None:
    class Breaking(io.RawIOBase):
        asked = 0

        def read(self, size: int = -1, /) -> bytes:
            self.asked += 1
            if self.asked > 3:
                raise RuntimeError("broken")
            return bytes(size)

    whole = s3_store.put("whole", PatternStream(20 * MIB))
    with pytest.raises(RuntimeError, match="broken"):
        s3_store.put("broken", Breaking())  # type: ignore[arg-type]

    assert whole.etag.endswith("-3")
    assert s3_store._minio._list_multipart_uploads(s3_settings.bucket).uploads == []


def test_objects_above_the_limit_of_one_copy_are_copied_in_parts(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = PatternStream(12 * MIB)
    s3_store.put("source", stream)
    monkeypatch.setattr(minio.api, "MAX_PART_SIZE", 5 * MIB)

    info = s3_store.copy("source", "target")

    assert info.size == 12 * MIB
    assert info.etag.endswith("-3")
    with s3_store.open("source") as source, s3_store.open("target") as target:
        assert source.read() == target.read()


def test_the_content_type_is_kept(s3_store: S3Store, s3_settings: S3Settings) -> None:
    s3_store.put("losses.csv", io.BytesIO(b"a,b"), content_type="text/csv")
    s3_store.copy("losses.csv", "copy.csv")

    for key in ("losses.csv", "copy.csv"):
        found = s3_store._minio.stat_object(s3_settings.bucket, f"{s3_settings.location}/{key}")
        assert found.content_type == "text/csv"


@contextmanager
def role_server(answer: dict[str, str], status: int = 200) -> Iterator[str]:
    """Where a container asks for the credentials of its role."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/role"
        finally:
            server.shutdown()
            thread.join()


def test_without_keys_the_role_of_the_container_is_used(
    s3: S3Server, s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {
        "AccessKeyId": s3.access_key_id,
        "SecretAccessKey": s3.secret_access_key,
        "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    settings = replace(s3_settings, access_key_id=None, secret_access_key=None)
    with role_server(answer) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        with S3Store(settings) as store:
            store.put("key", io.BytesIO(b"content"))
            assert store.exists("key")
            store.delete("key")


@pytest.mark.parametrize("status", [200, 404])
def test_without_keys_and_role_the_error_names_the_settings(
    s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    settings = replace(s3_settings, access_key_id=None, secret_access_key=None)
    with role_server({}, status) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        with S3Store(settings) as store, pytest.raises(ObjectStoreDenied, match="OASIS_AWS_ACCESS_KEY_ID"):
            store.check()


def test_secrets_are_in_no_repr(s3_store: S3Store, s3_settings: S3Settings) -> None:
    settings = replace(s3_settings, session_token="session-token")

    for text in (repr(s3_store), repr(settings), str(settings)):
        assert str(s3_settings.secret_access_key) not in text
        assert "session-token" not in text


@pytest.mark.parametrize("bucket", ["", "a", "UPPER CASE", "192.168.1.1"])
def test_impossible_buckets_are_refused_at_once(s3_settings: S3Settings, bucket: str) -> None:
    with pytest.raises(ObjectStoreError, match="AWS_BUCKET_NAME"):
        S3Store(replace(s3_settings, bucket=bucket))
