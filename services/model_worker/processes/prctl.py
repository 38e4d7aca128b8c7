"""Three calls of prctl(2), which the standard library does not have."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

# Loaded once, in the fork server: nothing is looked up after a fork.
_LIBC = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int | bytes) -> None:
    value = argument if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    if _LIBC.prctl(option, value, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies (not inherited by children)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Get SIGKILL when the parent *thread* ends. Kept over execve, not inherited by children.

    A parent that has ended before the call is not noticed: check afterwards.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def set_name(name: str) -> None:
    """What `ps` and `top` call this process; 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:15])
