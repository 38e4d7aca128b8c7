"""The attempts of a run as bars on a time axis, and what follows from them; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from .stages import stage_order


@dataclass(frozen=True)
class AttemptBar:
    """One attempt: which sub-task, where, when, and its outcome (completed, failed, lost, out-of-memory, cancelled).

    `queued` is when the sub-task became ready for this attempt, None if it is not known. All times are aware.
    """

    slug: str
    stage: str
    worker: str
    slot: int | None
    start: datetime
    end: datetime
    outcome: str
    queued: datetime | None = None

    @property
    def seconds(self) -> float:
        """How long the attempt took."""
        return (self.end - self.start).total_seconds()

    @property
    def waited(self) -> float | None:
        """Seconds between being ready and being started."""
        return None if self.queued is None else max((self.start - self.queued).total_seconds(), 0.0)

    @property
    def row(self) -> str:
        """The row of the chart: `worker-1 slot 1`."""
        return self.worker if self.slot is None else f"{self.worker} slot {self.slot}"


@dataclass(frozen=True)
class StageTotal:
    """A stage of the run: `span` from its first start to its last end, `work` the sum over its attempts, in seconds."""

    stage: str
    sub_tasks: int
    attempts: int
    span: float
    work: float
    longest: float


@dataclass(frozen=True)
class WaitingStep:
    """From `second` on, counted from the origin, `waiting` sub-tasks were ready and had no slot."""

    second: float
    waiting: int


def origin(bars: Iterable[AttemptBar]) -> datetime:
    """The first moment of the run: when the first sub-task became ready, or was started."""
    return min(bar.queued or bar.start for bar in bars)


def stage_totals(bars: Iterable[AttemptBar]) -> tuple[StageTotal, ...]:
    """The totals of every stage, in the order of the plan."""
    ordered = sorted(bars, key=lambda bar: stage_order(bar.stage))
    return tuple(_total(stage, list(group)) for stage, group in groupby(ordered, key=lambda bar: bar.stage))


def rows_of(bars: Iterable[AttemptBar]) -> list[str]:
    """The rows of the chart in alphabetical order, `slot 10` after `slot 9`."""
    places = sorted({(bar.worker, bar.slot or 0, bar.row) for bar in bars})
    return [row for _, _, row in places]


def waiting_steps(bars: Sequence[AttemptBar]) -> tuple[WaitingStep, ...]:
    """How many sub-tasks waited for a slot, as a step function; empty if no queueing time is known."""
    known = [(bar.queued, bar.start) for bar in bars if bar.queued is not None and bar.queued <= bar.start]
    if not known:
        return ()
    zero = origin(bars)
    moves = sorted([(queued, 1) for queued, _ in known] + [(start, -1) for _, start in known])
    steps, waiting = [], 0
    for moment, group in groupby(moves, key=lambda move: move[0]):
        waiting += sum(change for _, change in group)
        steps.append(WaitingStep((moment - zero).total_seconds(), waiting))
    return tuple(steps)


def _total(stage: str, bars: list[AttemptBar]) -> StageTotal:
    span = max(bar.end for bar in bars) - min(bar.start for bar in bars)
    seconds = [bar.seconds for bar in bars]
    return StageTotal(
        stage=stage,
        sub_tasks=len({bar.slug for bar in bars}),
        attempts=len(bars),
        span=span.total_seconds(),
        work=sum(seconds),
        longest=max(seconds),
    )
