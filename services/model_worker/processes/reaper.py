"""Signalling and reaping all the descendants of the calling process, which must be their subreaper."""

import os
import signal
import time
from contextlib import suppress

from services.model_worker.processes.proc import descendants

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1


def signal_descendants(number: signal.Signals) -> set[int]:
    """Send a signal once to each descendant, children before their parents; looks again until nobody is new."""
    reached: set[int] = set()
    while new := [pid for pid in descendants(os.getpid()) if pid not in reached]:
        for pid in reversed(new):
            _send(pid, number)
        reached.update(new)
    return reached


def _send(pid: int, number: signal.Signals) -> None:
    # A program that changed its user (setuid) cannot be signalled without privileges; there is nothing left to try.
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


class Reaper:
    """Collects ended children; knows how the step process ended and the largest resident set seen."""

    def __init__(self, step: int) -> None:
        self._step = step
        self.step_status: int | None = None
        """The step's wait status once it has ended (see os.waitstatus_to_exitcode)."""
        self.peak_memory = 0

    def collect(self) -> bool:
        """Reap whoever has ended, without waiting. False when no child is left at all."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.peak_memory = max(self.peak_memory, usage.ru_maxrss * 1024)
            if pid == self._step:
                self.step_status = status

    def kill_the_rest(self) -> set[int]:
        """SIGKILL until no descendant is left; returns those that were.

        Whoever loses its parent comes to the calling process, so "no child left" means "no descendant left". A
        process that waits for a dead device cannot be killed, and this waits for it.
        """
        killed: set[int] = set()
        pause = _FIRST_PAUSE
        while self.collect():
            killed |= signal_descendants(signal.SIGKILL)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return killed
