"""Streams for tests: large without memory, or broken on purpose."""

import hashlib
import io

MIB = 1024 * 1024


class PatternStream(io.RawIOBase):
    """`size` bytes that cannot be compressed or confused with one another; cannot seek."""

    def __init__(self, size: int) -> None:
        self._rest = size
        self._block = 0
        self._ready = b""
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray, /) -> int:
        if not self._ready:
            self._ready = hashlib.shake_128(self._block.to_bytes(8, "big")).digest(min(65536, self._rest))
            self._block += 1
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        self._rest -= count
        self.sha256.update(buffer[:count])
        return count


class BreakingStream(PatternStream):
    """Fails with the given error after `size` bytes."""

    def __init__(self, size: int, error: Exception) -> None:
        super().__init__(size)
        self._error = error

    def readinto(self, buffer: bytearray, /) -> int:
        count = super().readinto(buffer)
        if not count:
            raise self._error
        return count
