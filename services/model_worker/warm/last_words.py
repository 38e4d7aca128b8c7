"""How a program tells its status before it is gone: freeing its copy of the warm process takes the kernel milliseconds.

A page that a program server shares with its programs, so that no program has a descriptor more than after a plain
start. A program says its status there when all else is done, its descriptors are closed among it, and signals its
server; the server tells the client, and reaps the program later.
"""

import mmap
import os
import signal
from collections.abc import Callable
from contextlib import suppress

_SLOTS = 4096
_WIDTH = 4
_NOTHING = 0


class LastWords:
    """The server's side: a slot for each program that runs."""

    def __init__(self) -> None:
        self._statuses = memoryview(mmap.mmap(-1, _SLOTS * _WIDTH)).cast("i")
        self._free = list(range(_SLOTS))

    def slot(self) -> int | None:
        """One for a program that is to be forked; None when too many run, and it will just end."""
        return self._free.pop() if self._free else None

    def heard(self, slot: int | None) -> int | None:
        """The exit status that the program of this slot has said, if it has."""
        said = _NOTHING if slot is None else self._statuses[slot]
        return None if said == _NOTHING else said - 1

    def release(self, slot: int | None) -> None:
        """The program of this slot is reaped."""
        if slot is not None:
            self._statuses[slot] = _NOTHING
            self._free.append(slot)

    def of_program(self, slot: int | None, server: int) -> Callable[[int], None]:
        """For the program, in its own process: what to call with the exit status, just before leaving with it."""
        program = os.getpid()

        def say(status: int) -> None:
            if slot is None or os.getpid() != program:  # a fork of the program that runs to its end
                return
            _close_all()
            self._statuses[slot] = status + 1  # one aligned store: it is read wholly or not at all
            with suppress(OSError):
                os.kill(server, signal.SIGCHLD)

        return say


def _close_all() -> None:
    """Now, not after the memory as the kernel would: who reads a pipe of this program need not wait for that."""
    os.closerange(0, max(map(int, os.listdir("/proc/self/fd"))) + 1)  # noqa: PTH208 - quickly
