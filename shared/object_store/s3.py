"""Objects in a bucket of an S3 server, through the minio client.

Limits: an object whose size is not known before (a stream that cannot seek) may have 10,000 parts, which is 78 GiB;
others 5 TiB. Uploads that die half-way are invisible but keep their parts: give the bucket a life-cycle rule that
aborts incomplete multipart uploads.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import BinaryIO, cast

from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.helpers import ObjectWriteResult, check_bucket_name
from urllib3.response import BaseHTTPResponse

from shared.object_store.errors import (
    InvalidKey,
    InvalidObjectStoreSettings,
    ObjectNotFound,
    ObjectStoreDenied,
    ObjectStoreUnavailable,
)
from shared.object_store.keys import is_key, validate_key, validate_prefix
from shared.object_store.port import ObjectInfo, ObjectStore, check_range
from shared.object_store.s3_client import build_client, build_probe, build_provider, build_signer
from shared.object_store.s3_errors import DENIED_CODES, mapped
from shared.object_store.s3_presigner import S3Presigner
from shared.object_store.s3_streams import CountingReader, ResponseReader, remaining
from shared.object_store.settings import S3Settings

PART_BYTES = 8 * 1024 * 1024
READ_BYTES = 1024 * 1024
_MAX_PARTS = 10_000
_OURS_ALREADY = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class S3Store(ObjectStore):
    """Path-style requests with signatures of version 4; copies happen in the server, also above 5 GiB."""

    def __init__(self, settings: S3Settings) -> None:
        _check_bucket(settings.bucket)
        self._settings = settings
        self._bucket = settings.bucket
        self._root = f"{settings.location}/" if settings.location else ""
        self._place = f"The S3 bucket {settings.bucket} at {settings.endpoint_url}"
        provider = build_provider(settings)
        self._minio, self._connections = build_client(settings, provider)
        self._probe, self._probe_connections = build_probe(settings, provider)
        signer, seen = build_signer(settings, provider), settings.external_endpoint_url or settings.endpoint_url
        self._presigner = S3Presigner(signer, seen, self._bucket, self._name)
        self._lock = Lock()
        self._bucket_is_there = not settings.auto_create_bucket

    def __repr__(self) -> str:
        return f"S3Store({self._settings!r})"

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> ObjectInfo:
        name = self._name(key)
        size = remaining(stream)
        counted = CountingReader(stream)
        self._ensure_bucket()
        with mapped(key, self._place):
            result = self._minio.put_object(
                self._bucket,
                name,
                cast("BinaryIO", counted),
                length=-1 if size is None else size,
                content_type=content_type or "application/octet-stream",
                part_size=_part_size(size),
                num_parallel_uploads=1,
            )
        etag = self._etag_of(key, result)
        return ObjectInfo(key, counted.count, etag, _moment(result.http_headers.get("Date")))

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        check_range(start, end)
        if start == end:
            self.stat(key)
            return io.BytesIO()
        try:
            response = self._get(key, start, 0 if end is None else end - start)
        except _RangeBeyondEnd:
            return io.BytesIO()
        return io.BufferedReader(ResponseReader(response, lambda: mapped(key, self._place)), READ_BYTES)

    def stat(self, key: str) -> ObjectInfo:
        name = self._name(key)
        self._ensure_bucket()
        with mapped(key, self._place):
            found = self._minio.stat_object(self._bucket, name)
        return ObjectInfo(key, found.size or 0, found.etag or "", found.last_modified or datetime.now(UTC))

    def copy(self, source: str, target: str) -> ObjectInfo:
        source_name, target_name = self._name(source), self._name(target)
        if source == target:
            return self.stat(source)
        self._ensure_bucket()
        try:
            with mapped(source, self._place):
                self._minio.copy_object(self._bucket, target_name, CopySource(self._bucket, source_name))
        except ValueError as error:
            # An answer of 200 with an error in it: S3 copies while it answers.
            raise ObjectStoreUnavailable(f"{self._place} did not finish copying {source!r}.", key=source) from error
        return self.stat(target)

    def delete(self, key: str) -> None:
        name = self._name(key)
        self._ensure_bucket()
        with suppress(ObjectNotFound), mapped(key, self._place):
            self._minio.remove_object(self._bucket, name)

    def delete_prefix(self, prefix: str) -> int:
        if not validate_prefix(prefix):
            raise InvalidKey(prefix, "the empty prefix would delete the whole store")
        removed = 0

        def doomed() -> Iterator[DeleteObject]:
            nonlocal removed
            for found in self.list(prefix):
                removed += 1
                yield DeleteObject(self._root + found.key)

        with mapped(None, self._place):
            for failure in self._minio.remove_objects(self._bucket, doomed()):
                kind = ObjectStoreDenied if failure.code in DENIED_CODES else ObjectStoreUnavailable
                raise kind(f"{self._place} did not delete {failure.name!r} ({failure.code}: {failure.message}).")
        return removed

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._list(validate_prefix(prefix))

    @property
    def presigner(self) -> S3Presigner:
        return self._presigner

    def check(self) -> None:
        """Ask for the bucket, with the rights that listing needs; creates it if the settings say so."""
        with mapped(None, self._place):
            there = self._probe.bucket_exists(self._bucket)
        if there:
            return
        if not self._settings.auto_create_bucket:
            raise ObjectStoreUnavailable(
                f"{self._place} does not exist: create it, or set OASIS_AWS_AUTO_CREATE_BUCKET=true."
            )
        self._create_bucket()

    def close(self) -> None:
        self._connections.clear()
        self._probe_connections.clear()

    def _name(self, key: str) -> str:
        return self._root + validate_key(key)

    def _etag_of(self, key: str, result: ObjectWriteResult) -> str:
        """S3 may find only after having answered 200 that it cannot join the parts: then the answer names no bucket.

        Ceph 16 joins them and answers with an empty etag, so that it has to be asked.
        """
        if not result.etag and not result.bucket_name:
            raise ObjectStoreUnavailable(f"{self._place} accepted the parts of {key!r} but not the whole.", key=key)
        return result.etag or self.stat(key).etag

    def _get(self, key: str, offset: int, length: int) -> BaseHTTPResponse:
        name = self._name(key)
        self._ensure_bucket()
        with mapped(key, self._place):
            try:
                return self._minio.get_object(self._bucket, name, offset, length)
            except S3Error as error:
                if error.code == "InvalidRange":
                    raise _RangeBeyondEnd from error
                raise

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Asks for the object "a/b" and the folder "a/b/" apart: "a/b" as a prefix of S3 would also find "a/bc"."""
        if prefix and not prefix.endswith("/"):
            with suppress(ObjectNotFound):
                yield self.stat(prefix)
            prefix += "/"
        self._ensure_bucket()
        with mapped(None, self._place):
            for found in self._minio.list_objects(self._bucket, self._root + prefix, recursive=True):
                key = (found.object_name or "").removeprefix(self._root)
                if is_key(key):  # not what others left: consoles make objects called "folder/"
                    yield ObjectInfo(key, found.size or 0, found.etag or "", found.last_modified or datetime.now(UTC))

    def _ensure_bucket(self) -> None:
        with self._lock:
            if self._bucket_is_there:
                return
            with mapped(None, self._place):
                if not self._minio.bucket_exists(self._bucket):
                    self._create_bucket()
            self._bucket_is_there = True

    def _create_bucket(self) -> None:
        with mapped(None, self._place):
            try:
                self._minio.make_bucket(self._bucket, location=self._settings.region)
            except S3Error as error:
                if error.code not in _OURS_ALREADY:
                    raise


class _RangeBeyondEnd(Exception):
    """The object is there, but ends before the range begins."""


def _part_size(size: int | None) -> int:
    """Bytes of a part: constant, and more only where 10,000 parts would not hold the object."""
    return max(PART_BYTES, -(-(size or 0) // _MAX_PARTS))


def _moment(header: str | None) -> datetime:
    return parsedate_to_datetime(header).astimezone(UTC) if header else datetime.now(UTC)


def _check_bucket(bucket: str) -> None:
    try:
        check_bucket_name(bucket)
    except ValueError as error:
        raise InvalidObjectStoreSettings("AWS_BUCKET_NAME", str(error)) from error
