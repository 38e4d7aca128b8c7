"""Marks on processes by which a sweep finds them again: two environment variables.

`/proc/<pid>/environ` shows the strings that the last `execve` put on the process's stack, so a program that a step
starts shows what the step had in its environment. A process that is only forked shows the stack of the fork server,
copied: the fork server is therefore started with room for the attempt's name, and each guardian writes the name
there.
"""

import ctypes
import hashlib
import os
from functools import cache
from pathlib import Path

SWEEP_VARIABLE = "LOSSLINE_WORKER_SWEEP"
ATTEMPT_VARIABLE = "LOSSLINE_ATTEMPT"
ATTEMPT_WIDTH = 64
"""Bytes that there is room for."""
ATTEMPT_ROOM = "-" * ATTEMPT_WIDTH
"""What the fork server itself has as its attempt."""


def worker_token(base_directory: Path) -> str:
    """The same for every worker of one base directory on this machine, whatever path it is reached by."""
    return hashlib.sha256(os.fsencode(base_directory.resolve())).hexdigest()[:32]


@cache
def attempt_room() -> int:
    """Where in memory this process's initial environment has room for an attempt's name.

    Only for a process that has not touched `ATTEMPT_VARIABLE` since its start: libc's getenv then still points to the
    stack. A fork has it where its parent has: who forks often looks before. Raises RuntimeError when there is none.
    """
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    address = getenv(ATTEMPT_VARIABLE.encode())
    if not address or ctypes.string_at(address) != ATTEMPT_ROOM.encode():
        raise RuntimeError(f"This process was not started with room for {ATTEMPT_VARIABLE}; only a fork server's is.")
    return int(address)


def stamp_attempt(attempt: bytes) -> None:
    """Write the attempt's name, `ATTEMPT_WIDTH` bytes, over the room, once, in a fork of the fork server."""
    ctypes.memmove(attempt_room(), attempt, ATTEMPT_WIDTH)
