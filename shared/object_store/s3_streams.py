"""Streams between callers and the S3 client."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from urllib3.response import BaseHTTPResponse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class CountingReader(io.RawIOBase):
    """Hands a stream's bytes on as they are and counts them; closing it leaves the stream open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = bytes(self._stream.read(size))
        self.count += len(data)
        return data


class ResponseReader(io.RawIOBase):
    """The body of an answer. `mapped` turns a connection that breaks into the store's error."""

    def __init__(self, response: BaseHTTPResponse, mapped: Callable[[], AbstractContextManager[None]]) -> None:
        self._response = response
        self._mapped = mapped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        with self._mapped():
            data = self._response.read(len(view), decode_content=False)
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """A connection whose answer was read to its end goes back to the pool; another is closed."""
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()


def remaining(stream: BinaryIO) -> int | None:
    """Bytes from here to the end of a stream that can seek, else None."""
    if not stream.seekable():
        return None
    here = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(here)
    return max(0, end - here)
