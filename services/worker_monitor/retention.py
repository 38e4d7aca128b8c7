"""Which runs of an analysis go, and which lose the objects of their attempts. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.states import ALIVE_RUNS, RESUMABLE_RUNS, RunState


@dataclass(frozen=True)
class Retention:
    """How long what is kept; 0 `runs` or `days` set no bound."""

    runs: int = 10
    """Of each analysis, the newest."""
    days: int = 30
    """After their end."""
    resumable_for: timedelta = timedelta(days=1)
    """How long after its end a failed or cancelled run keeps the objects that resuming it would read."""


@dataclass(frozen=True)
class PastRun:
    """A run and what of it matters here."""

    run_id: int
    state: RunState
    ended_at: datetime | None = None
    is_current: bool = False
    is_shown: bool = False
    """Whether the analysis has a file that is composed of its logs."""
    has_objects: bool = True
    began_with: frozenset[int] = field(default_factory=frozenset)
    """Runs whose sub-tasks it has copied: it reads their objects, and shows their logs."""


@dataclass(frozen=True)
class Verdict:
    """Ids of runs: to be removed with everything, and to be swept of the objects of their attempts."""

    removed: frozenset[int]
    swept: frozenset[int]


def judge(runs: Sequence[PastRun], retention: Retention, now: datetime) -> Verdict:
    """What follows for the runs of one analysis, given newest first."""
    expired = {run.run_id for number, run in enumerate(runs) if _has_expired(number, run, retention, now)}
    staying = (run for run in runs if run.run_id not in expired)
    removed = expired - _with_origins(runs, staying)
    readers = (run for run in runs if run.state in ALIVE_RUNS or _is_resumable(run, retention, now))
    read = _with_origins(runs, readers)
    over = (run for run in runs if run.state in RESUMABLE_RUNS and not _ended_lately(run, retention, now))
    swept = {run.run_id for run in over if run.has_objects and run.run_id not in read}
    return Verdict(frozenset(removed), frozenset(swept - removed))


def _has_expired(number: int, run: PastRun, retention: Retention, now: datetime) -> bool:
    if run.ended_at is None or run.is_current or run.is_shown:
        return False
    is_surplus = retention.runs > 0 and number >= retention.runs
    is_old = retention.days > 0 and run.ended_at + timedelta(days=retention.days) <= now
    return is_surplus or is_old


def _is_resumable(run: PastRun, retention: Retention, now: datetime) -> bool:
    return run.is_current and run.state in RESUMABLE_RUNS and _ended_lately(run, retention, now)


def _ended_lately(run: PastRun, retention: Retention, now: datetime) -> bool:
    return run.ended_at is None or run.ended_at + retention.resumable_for > now


def _with_origins(runs: Iterable[PastRun], some: Iterable[PastRun]) -> set[int]:
    """The ids of some of the runs, and of all that they began with, directly or not."""
    began_with = {run.run_id: run.began_with for run in runs}
    found: set[int] = set()
    left = [run.run_id for run in some]
    while left:
        run_id = left.pop()
        if run_id not in found:
            found.add(run_id)
            left.extend(began_with.get(run_id, ()))
    return found
