"""The object store that the services know: whole objects under keys, put and read as streams."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import copyfileobj
from types import TracebackType
from typing import BinaryIO, Self

from shared.object_store.errors import ObjectNotFound
from shared.object_store.files import replacing
from shared.object_store.presigned import Presigner

COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ObjectInfo:
    """What a store knows of one object without reading it.

    `size` is in bytes; `etag` is opaque and differs between two contents of a key; `modified_at` (UTC) is the store's
    clock, to within a second.
    """

    key: str
    size: int
    etag: str
    modified_at: datetime


class ObjectStore(AbstractContextManager["ObjectStore"], ABC):
    """Whole objects: the last writer wins, and a reader sees one version or another, never a mixture.

    There is no appending and no locking. A key must not lie below another object's key ("a" and "a/b"): stores of
    files refuse it with InvalidKey, S3 does not look. Keys and prefixes follow `keys.py`, and break with InvalidKey.
    Every method raises ObjectStoreUnavailable or ObjectStoreDenied besides what it names. Instances may be shared
    between threads, not between processes: open one after a fork.
    """

    @abstractmethod
    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> ObjectInfo:
        """Store what is left of the stream, in constant memory; nothing is visible before the last byte.

        An error of the stream itself passes through and leaves no object. `content_type` is a hint for stores that
        keep one (S3).
        """

    @abstractmethod
    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A forward-only reader of the bytes [start, end), to be closed (a context manager).

        A range beyond the object is cut to it, so it may be empty. Raises ObjectNotFound; a connection that breaks
        while reading raises ObjectStoreUnavailable, never a short object.
        """

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo:
        """Raises ObjectNotFound."""

    @abstractmethod
    def copy(self, source: str, target: str) -> ObjectInfo:
        """Copy inside the store, without moving the bytes through this process where it can. Raises ObjectNotFound."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; deleting one that is not there is no error."""

    @abstractmethod
    def delete_prefix(self, prefix: str) -> int:
        """Delete every object under a prefix and return how many; the empty prefix is refused with InvalidKey.

        An object that is put meanwhile survives or not, but is never damaged.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects under a prefix, sorted by key, fetched as they are consumed.

        "" lists everything, "a/b/" what is in that folder, "a/b" that object and that folder, but never "a/bc".
        """

    @abstractmethod
    def check(self) -> None:
        """Return if the store can be used now, quickly. Else raise with a sentence that says what to do."""

    @property
    def presigner(self) -> Presigner | None:
        """What signs requests of clients straight to this store; None where clients cannot reach it."""
        return None

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""
        try:
            self.stat(key)
        except ObjectNotFound:
            return False
        return True

    def put_file(self, key: str, path: Path, *, content_type: str | None = None) -> ObjectInfo:
        """Store a file of this machine. OSError for the file itself passes through."""
        with path.open("rb") as stream:
            return self.put(key, stream, content_type=content_type)

    def get_file(self, key: str, path: Path) -> None:
        """Fetch an object into a file, which appears (or is replaced) only when complete. Raises ObjectNotFound."""
        with self.open(key) as source, replacing(path) as target:
            copyfileobj(source, target, COPY_BYTES)

    def close(self) -> None:
        """Release connections. The store must not be used after."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def check_range(start: int, end: int | None) -> None:
    """Raises ValueError for a range that cannot be meant: [start, end) counts from the beginning and forwards."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"[{start}, {end}) is not a range of bytes")
