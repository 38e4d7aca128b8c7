"""What /proc/<pid>/cmdline shows: the arguments that lie in the process's memory, written over."""

import ctypes
import os
from collections.abc import Sequence

from services.model_worker.processes import proc

ROOM = "-" * 2048
"""The last argument of the fork server: room for the arguments of a program."""

_ARGUMENTS_START, _ARGUMENTS_END = 45, 46
"""Fields of /proc/<pid>/stat, counted from the state."""


def show_arguments(arguments: Sequence[str]) -> None:
    """Show these, cut to what there is room for; nothing happens in a process that was started without `ROOM`.

    The last byte of the region is not NUL, by which the kernel knows that the text ends at its first NUL.
    """
    fields = proc.stat_fields(os.getpid())
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    room = end - start
    if room <= len(ROOM) or ctypes.string_at(end - len(ROOM) - 1, len(ROOM)) != ROOM.encode():
        return
    text = " ".join(arguments).encode(errors="surrogateescape")[: room - 2]
    ctypes.memmove(start, text.ljust(room - 1, b"\0") + b"-", room)
