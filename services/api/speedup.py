"""Amdahl's law from measurement: what of a run was serial, what more workers would bring, and how many chunks. Pure.

A sub-task takes its slot from the grant to the settled report; all times are the database's, so that clocks of
workers do not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from shared.core.auto_chunks import Fleet, Work, best_chunks, makespan, predict
from shared.core.chunk_costs import CostModel

WORKERS_SHOWN = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Slice:
    """An attempt: from its grant to its end, and whether its result counts."""

    granted: datetime
    ended: datetime
    counts: bool

    @property
    def seconds(self) -> float:
        """How long it had its slot."""
        return max((self.ended - self.granted).total_seconds(), 0.0)


@dataclass(frozen=True)
class TimedSubTask:
    """A sub-task and its ended attempts; those of a copy were made in an earlier run."""

    slug: str
    attempts: Sequence[Slice]
    copied: bool = False

    @property
    def seconds(self) -> float:
        """Of the attempt whose result counts; none of a sub-task that failed."""
        return max((each.seconds for each in self.attempts if each.counts), default=0.0)


@dataclass(frozen=True)
class TimedStage:
    """A stage of the run, its sub-tasks in order."""

    step: str
    parallel: bool
    sub_tasks: Sequence[TimedSubTask]

    @property
    def own(self) -> list[Slice]:
        """Attempts that were made in this run."""
        return [attempt for each in self.sub_tasks if not each.copied for attempt in each.attempts]

    @property
    def longest(self) -> TimedSubTask:
        """The sub-task that no number of slots makes shorter."""
        return max(self.sub_tasks, key=lambda each: each.seconds)

    @property
    def work(self) -> float:
        """Slot-seconds whose result counts, those of copies too."""
        return sum(each.seconds for each in self.sub_tasks)


@dataclass(frozen=True)
class StageTimes:
    """When a stage of this run was executed, in seconds: `waited` for its first slot, then `span` to its end."""

    waited: float
    span: float


@dataclass(frozen=True)
class Section:
    """What is known of the chunks of a parallel stage: their costs and its size, or `unknown`, what is missing."""

    costs: CostModel | None
    work: Work | None
    most: int
    unknown: str = ""


@dataclass(frozen=True)
class Forecast:
    """A run with so many workers: with the chunks that it had, and with the best ones by step, if costs are known."""

    workers: int
    slots: int
    seconds: float
    best_chunks: dict[str, int]
    best_seconds: float | None


def stage_times(requested: datetime, stages: Sequence[TimedStage]) -> list[StageTimes]:
    """The stages one after the other, each ready when the one before has ended. Of stages that were copied, zeros."""
    times, ready = [], requested
    for stage in stages:
        own = stage.own
        first = max(min((each.granted for each in own), default=ready), ready)
        last = max(max((each.ended for each in own), default=ready), first)
        times.append(StageTimes((first - ready).total_seconds(), (last - first).total_seconds()))
        ready = last
    return times


def lost_seconds(stages: Sequence[TimedStage]) -> float:
    """Slot-seconds of attempts of this run that left nothing."""
    return sum(each.seconds for stage in stages for each in stage.own if not each.counts)


def forecast(
    stages: Sequence[TimedStage],
    times: Sequence[StageTimes],
    sections: dict[str, Section],
    workers: int,
    slots_per_worker: int,
) -> Forecast:
    """The whole run on so many workers that are all there, free, and never fail.

    Serial sub-tasks take what they took, and each stage is handed over as fast as the median stage was.
    """
    slots = workers * slots_per_worker
    executed = [each.waited for each, stage in zip(times, stages, strict=True) if stage.own]
    serial = sum(stage.work for stage in stages if not stage.parallel) + len(stages) * median(executed or [0.0])
    parallel = [stage for stage in stages if stage.parallel]
    as_it_was = sum(makespan([each.seconds for each in stage.sub_tasks], slots) for stage in parallel)
    best, best_seconds = _best(parallel, sections, Fleet(slots=slots, slots_per_worker=slots_per_worker))
    whole = None if best_seconds is None else serial + best_seconds
    return Forecast(workers, slots, serial + as_it_was, best, whole)


def _best(
    parallel: Sequence[TimedStage], sections: dict[str, Section], fleet: Fleet
) -> tuple[dict[str, int], float | None]:
    """The best chunks by step, and what the sections then take together, None unless all can be said."""
    known = {stage.step: _best_of(stage, sections[stage.step], fleet) for stage in parallel if stage.step in sections}
    found = {step: best for step, best in known.items() if best is not None}
    chunks = {step: count for step, (count, _) in found.items()}
    return chunks, sum(seconds for _, seconds in found.values()) if len(found) == len(parallel) else None


def _best_of(stage: TimedStage, section: Section, fleet: Fleet) -> tuple[int, float] | None:
    """The number that the stage had stays, as it was measured, where no other is predicted to be faster."""
    if section.costs is None or section.work is None:
        return None
    count = best_chunks(section.costs, section.work, fleet, section.most)
    predicted = predict(section.costs, section.work, fleet, count)
    had = makespan([each.seconds for each in stage.sub_tasks], fleet.slots)
    return (count, predicted) if predicted < had else (len(stage.sub_tasks), had)
