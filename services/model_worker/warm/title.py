"""What /proc/<pid>/cmdline shows: the arguments that lie in the process's memory, written over."""

import ctypes
import os
from collections.abc import Sequence
from functools import cache

from services.model_worker.processes import proc

ROOM = "-" * 2048
"""The last argument of the fork server: room for the arguments of a program."""

_ARGUMENTS_START, _ARGUMENTS_END = 45, 46
"""Fields of /proc/<pid>/stat, counted from the state."""


@cache
def room() -> tuple[int, int]:
    """Where the arguments begin in memory, and for how many bytes; none in a process started without `ROOM`.

    A fork has them where its parent has: who forks often looks before.
    """
    fields = proc.stat_fields(os.getpid())
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    if end - start <= len(ROOM) or ctypes.string_at(end - len(ROOM) - 1, len(ROOM)) != ROOM.encode():
        return start, 0
    return start, end - start


def show_arguments(arguments: Sequence[str]) -> None:
    """Show these, cut to what there is room for; nothing happens where there is none.

    The last byte of the region is not NUL, by which the kernel knows that the text ends at its first NUL.
    """
    start, bytes_there = room()
    if bytes_there:
        text = " ".join(arguments).encode(errors="surrogateescape")[: bytes_there - 2]
        ctypes.memmove(start, text.ljust(bytes_there - 1, b"\0") + b"-", bytes_there)
