"""What an attempt's program server says to the guardian, and what its death means. Pure.

A program server that dies takes the programs that it has forked with it, half done. The guardian must know whether
there were any: then the attempt is lost, as if its worker had died; else later programs are started plain, and all is
well. The server says so *before* it forks, so the guardian can only err on the safe side.
"""

import struct
from dataclasses import dataclass

BEGUN = b"+"
ENDED = b"-"
_PID = struct.Struct("@i")


def greeting(pid: int) -> bytes:
    """The first that is said: the server's process id."""
    return _PID.pack(pid)


@dataclass
class Leash:
    """The guardian's knowledge of a program server. Feed it what is read from the pipe, and its end as b""."""

    pid: int | None = None
    """None until it has greeted."""
    running: int = 0
    """Programs."""
    dead: bool = False
    killed: bool = False
    """By the guardian itself, which was told to; then nothing is lost that was not to end."""
    _first: bytes = b""

    def feed(self, data: bytes) -> None:
        """Take what the server said; nothing means that it is dead, or never was."""
        self.dead = self.dead or not data
        if self.pid is None:
            self._first += data
            if len(self._first) < _PID.size:
                return
            (self.pid,) = _PID.unpack_from(self._first)
            data = self._first[_PID.size :]
        self.running += data.count(BEGUN) - data.count(ENDED)

    @property
    def lost(self) -> bool:
        """Whether programs have died with their server, so that the attempt cannot end as it would have."""
        return self.dead and self.running > 0 and not self.killed
