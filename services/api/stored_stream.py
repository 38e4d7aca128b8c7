"""Stored objects as files that can seek, without a copy on the disk."""

import io
from typing import TYPE_CHECKING, BinaryIO, cast

from shared.object_store import ObjectStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 256 * 1024


def stored_stream(store: ObjectStore, key: str, size: int) -> BinaryIO:
    """A reader of an object that nobody replaces, to be closed. Raises what `ObjectStore.open` raises, when read."""
    return cast("BinaryIO", io.BufferedReader(_StoredFile(store, key, size), _BUFFER))


class _StoredFile(io.RawIOBase):
    """What is read on from one place is one request to the store; a seek begins another."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store, self._key, self._size = store, key, size
        self._position = 0
        self._reader: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        position = base + offset
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        if position != self._position:
            self._drop_reader()
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not view:
            return 0
        if self._reader is None:
            self._reader = self._store.open(self._key, self._position)
        data = self._reader.read(len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._drop_reader()
        super().close()

    def _drop_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None
