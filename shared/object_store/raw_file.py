"""Bytes of file descriptors: reading a range, writing all, copying inside the file system."""

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_CHUNK_BYTES = 1024 * 1024
_KERNEL_COPY_BYTES = 64 * 1024 * 1024
_KERNEL_CANNOT_COPY = frozenset(
    {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)


class FileReader(io.RawIOBase):
    """The bytes [start, end) of a descriptor that it owns. `mapped` turns an OSError into the store's error."""

    def __init__(
        self, descriptor: int, start: int, end: int | None, mapped: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._descriptor = descriptor
        self._position = start
        self._end = sys.maxsize if end is None else end
        self._mapped = mapped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._end - self._position)
        if wanted <= 0:
            return 0
        with self._mapped():
            got = os.preadv(self._descriptor, [view[:wanted]], self._position)
        self._position += got
        return got

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def write_all(descriptor: int, chunk: "ReadableBuffer") -> None:
    """Write every byte; the kernel may take fewer at a time."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def copy_all(source: int, target: int) -> None:
    """Copy from the position of one descriptor to that of the other, inside the file system or server where it can."""
    _kernel_copy(source, target)
    # What the kernel left, all or nothing: some file systems copy nothing and call it the end.
    while chunk := os.read(source, _CHUNK_BYTES):
        write_all(target, chunk)


def _kernel_copy(source: int, target: int) -> None:
    try:
        while os.copy_file_range(source, target, _KERNEL_COPY_BYTES):
            pass
    except OSError as error:
        if error.errno not in _KERNEL_CANNOT_COPY:
            raise
