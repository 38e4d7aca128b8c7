"""Become another program that dies with the process that started it.

Run as a script, before any other import of ours and without site packages, so that it costs some 15 ms:

    python -I -S die_with_parent.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT...]

PARENT is the process id of the starter, SIGNAL what the kernel sends when it dies, UID and GID the account to
become ("-" keeps the present one). On systems other than Linux there is no such signal: there the program only
ends by the starter's own shutdown.

Linux ties the signal to the *thread* that started the child, and forgets it when a process changes its account:
hence the account first, the signal second.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_GONE = 70  # EX_SOFTWARE: the starter had died before the signal was armed


def _become(user: str, group: str) -> None:
    if user == "-":
        return
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))


def _arm(signal_number: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")


def main(arguments: list[str]) -> None:
    """Arm the signal and exec; never returns."""
    parent, signal_number, user, group, *program = arguments
    _become(user, group)
    _arm(int(signal_number))
    if os.getppid() != int(parent):
        os._exit(_GONE)
    os.execvp(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
