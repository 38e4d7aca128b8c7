"""Whether the kernel's out-of-memory killer is to blame for the end of an attempt.

The victim is often one program of a pipeline, whose end only its own parent sees: a shell, which then kills the others.
What can be relied on is the kernel's count of such kills. The count of the worker's own group speaks for itself; that
of the whole machine, read where the group has none, counts only for an attempt that shows the marks of a SIGKILL.
"""

import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from services.model_worker.cgroup import machine_oom_kills, own_group
from services.model_worker.processes import ChildEnd

SOON = 30.0
"""Seconds: who fails later than this after a kill has failed by itself."""

_MARKS = re.compile(r"\bSIGKILL\b|\bKilled\b|\bexit (?:status|code) 137\b|\bsignal 9\b|(?:status|code) -9\b")


@dataclass(frozen=True)
class KillCount:
    """How to read the count; `of_group` when it is that of the worker's own group."""

    read: Callable[[], int | None]
    of_group: bool


@cache
def kill_count() -> KillCount:
    """The best count that there is here. Looked for once: nobody moves a worker."""
    group = own_group()
    if group is not None and group.oom_kills() is not None:
        return KillCount(group.oom_kills, of_group=True)
    return KillCount(machine_oom_kills, of_group=False)


class KernelKills:
    """The kills during one attempt. `look` now and then, and once more at its end."""

    def __init__(self, count: KillCount, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._known = count.read() or 0
        self._last_kill: float | None = None

    def look(self) -> None:
        """Note a kill since the last look."""
        now = self._count.read() or 0
        if now > self._known:
            self._known, self._last_kill = now, self._clock()

    def ended(self, end: ChildEnd | None, words: str) -> bool:
        """Whether an attempt that has just failed, with this end and these words, was ended by such a kill."""
        self.look()
        if self._last_kill is None or self._clock() - self._last_kill > SOON:
            return False
        return self._count.of_group or was_killed(end, words)


def was_killed(end: ChildEnd | None, words: str) -> bool:
    """Whether the step, or by its own words a program that it had started, has died of SIGKILL."""
    return (end is not None and end.signal == signal.SIGKILL) or _MARKS.search(words) is not None
