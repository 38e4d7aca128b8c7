"""Signals of a program server: it is deaf to those meant for programs, and woken when one of these ends."""

import faulthandler
import os
import signal
from contextlib import suppress

_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP,
            signal.SIGUSR1, signal.SIGUSR2)  # fmt: skip

CHANGED = frozenset({*_IGNORED, signal.SIGCHLD})
"""Signals of which a server has not the default: all that its programs have to reset."""


def become_deaf() -> None:
    """Ignore what is meant for programs, and have the default for all else, so that each of them has less to reset."""
    faulthandler.disable()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # a few of the real-time signals belong to libc
            signal.signal(number, signal.SIG_IGN if number in _IGNORED else signal.SIG_DFL)


def wake_on_child() -> int:
    """A pipe that becomes readable when a program ends."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading
