"""What the API's speedup/ says of a run, for the report; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .formats import count, duration


@dataclass(frozen=True)
class WorkersPoint:
    """The predicted wall time with so many workers, in seconds; of other chunks only where their costs are known."""

    workers: int
    slots: int
    seconds: float
    best_seconds: float | None = None
    lookup_chunks: int | None = None
    loss_chunks: int | None = None


@dataclass(frozen=True)
class Speedup:
    """Of a completed run. `points` are in the order of their workers; all times are seconds."""

    workers: int
    slots_per_worker: int
    wall: float
    serial: float
    parallel: float
    waiting: float
    critical_path: float
    serial_fraction: float | None
    points: Sequence[WorkersPoint]
    unknown: Sequence[str] = ()
    assumes_start: bool = False
    """Whether a best number of chunks rests on an assumption of what a chunk's start costs."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers say, in words."""
        share = "" if self.serial_fraction is None else f", {self.serial_fraction:.0%} of all that was computed"
        slots = f"{count(self.workers, 'worker')} with {count(self.slots_per_worker, 'slot')} each"
        parts = (
            f"{duration(self.serial)} in serial sub-tasks{share}, {duration(self.parallel)} in parallel sections, "
            f"and {duration(self.waiting)} waiting for slots"
        )
        floor = f"Its critical path is {duration(self.critical_path)}: divided as it was, no number of workers ends it"
        return (f"On {slots}, the run took {duration(self.wall)}: {parts}.", f"{floor} sooner.")

    @property
    def knows_better(self) -> bool:
        """Whether anything is known of other numbers of chunks."""
        return any(point.best_seconds is not None for point in self.points)


def speedup_of(answer: Mapping[str, Any]) -> Speedup:
    """From the JSON of `speedup/`."""
    return Speedup(
        workers=answer["workers"],
        slots_per_worker=answer["slots_per_worker"],
        wall=answer["wall_seconds"],
        serial=answer["serial_seconds"],
        parallel=answer["parallel_seconds"],
        waiting=answer["waiting_seconds"],
        critical_path=answer["critical_path"]["seconds"],
        serial_fraction=answer["serial_fraction"],
        points=tuple(_point(each) for each in answer["predicted"]),
        unknown=tuple(answer["best"]["unknown"].values()),
        assumes_start=bool(answer["best"]["assumed"]),
    )


def _point(each: Mapping[str, Any]) -> WorkersPoint:
    best = each["best"]
    return WorkersPoint(
        workers=each["workers"],
        slots=each["slots"],
        seconds=each["wall_seconds"],
        best_seconds=best["wall_seconds"],
        lookup_chunks=best["lookup_chunks"],
        loss_chunks=best["analysis_chunks"],
    )
