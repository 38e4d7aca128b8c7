"""Cutting a stream of bytes into lines. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

LONGEST_LINE = 64 * 1024
"""Bytes. A longer line is given in pieces: a program that never ends its line cannot fill the supervisor's memory."""


@dataclass
class LineCutter:
    """Feed it what was read; it gives lines without their line ends, as bytes whatever their encoding."""

    longest: int = LONGEST_LINE
    _rest: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Lines that are complete now, and the pieces of one that has become too long."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        for line in complete:
            yield from self._pieces(line)
        while len(self._rest) > self.longest:
            yield self._rest[: self.longest]
            self._rest = self._rest[self.longest :]

    def finish(self) -> Iterator[bytes]:
        """What stands after the last line end."""
        if self._rest:
            yield self._rest
        self._rest = b""

    def _pieces(self, line: bytes) -> Iterator[bytes]:
        line = line.removesuffix(b"\r")
        yield line[: self.longest]
        for start in range(self.longest, len(line), self.longest):
            yield line[start : start + self.longest]
