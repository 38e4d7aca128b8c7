"""Attempts that make no progress, or take too long, are ended. Both count as errors of the model."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.model_worker.processes import proc
from services.model_worker.watch import Verdict
from shared.core.retries import Cause

IDLE_SHARE = 0.01
"""Of one core. Programs that wait for each other use a little: they look at the clock."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Patience:
    """Seconds; None is for ever."""

    stalled_after: float | None = None
    deadline: float | None = None


@dataclass
class Watchdog:
    """Judges by what it is told, on the clock of whoever tells it: `began` and `now` in seconds, monotonic."""

    patience: Patience
    began: float
    _signs: int = field(default=0, init=False)
    _processor: float = field(default=0.0, init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.began

    def look(self, now: float, signs: int, processor: float) -> str | None:
        """Why the attempt is to be ended, or None.

        `signs`: lines and reports of progress so far; `processor`: seconds that its processes have used so far.
        """
        deadline, stalled_after = self.patience.deadline, self.patience.stalled_after
        if deadline is not None and now - self.began >= deadline:
            return (
                f"Past its deadline: the attempt had run for {deadline:g} s, which is what OASIS_WORKER_DEADLINE "
                "allows. Split the work into more chunks, or set it higher."
            )
        if stalled_after is None:
            return None
        if signs != self._signs or processor - self._processor >= IDLE_SHARE * stalled_after:
            self._signs, self._processor, self._since = signs, processor, now
        if now - self._since < stalled_after:
            return None
        return (
            f"No progress: for {stalled_after:g} s (OASIS_WORKER_STALLED_AFTER) the attempt printed no line, reported "
            "no event, and its processes used next to no processor time. Its programs wait for each other or for "
            "something outside; the log ends where it stopped."
        )


class WatchdogRule:
    """The watchdog over the processes of an attempt that begins now; `signs` counts its lines and reports."""

    def __init__(self, patience: Patience, signs: Callable[[], int]) -> None:
        self._watchdog = Watchdog(patience, time.monotonic())
        self._signs = signs
        self._used = ProcessorTime()

    def __call__(self, pids: list[int]) -> Verdict | None:
        """Look, and judge."""
        message = self._watchdog.look(time.monotonic(), self._signs(), self._used.of(pids))
        return Verdict(Cause.MODEL_ERROR, message) if message else None


class ProcessorTime:
    """Processor seconds of a changing set of processes, as far as somebody looked; it never goes backwards."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._ticks = 0

    def of(self, pids: Iterable[int]) -> float:
        """Seconds so far, with those of children that they have waited for."""
        now = {pid: _ticks_of(pid) for pid in pids}
        self._ticks += sum(max(0, ticks - self._last.get(pid, 0)) for pid, ticks in now.items())
        self._last = now
        return self._ticks / _TICKS


def _ticks_of(pid: int) -> int:
    """utime, stime, cutime and cstime. Source: proc_pid_stat(5)."""
    return sum(map(int, proc.stat_fields(pid)[11:15]))
