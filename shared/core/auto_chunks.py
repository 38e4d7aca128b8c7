"""The strategy AUTO: as many chunks as let a parallel section end soonest, and why. Pure.

The method and its limits: docs/decisions/0017-chunks-that-fit.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from math import ceil, log, sqrt

from shared.core.chunk_costs import CostModel

NEARLY_BEST = 0.03
"""Of two counts whose predictions differ by no more than this share, the smaller one is taken."""
MOST_CHUNKS = 32767
"""As many as FIXED_CHUNKS allows."""


@dataclass(frozen=True)
class Fleet:
    """The workers that a section may be spread over.

    `slots` are those that are alive. With `chunks_per_worker`, the fleet grows with the number of chunks, up to
    `most_workers`; without, it may have `most_workers` whatever the number is.
    """

    slots: int = 0
    slots_per_worker: int = 1
    most_workers: int = 0
    least_workers: int = 0
    chunks_per_worker: int | None = None

    def slots_for(self, chunks: int) -> int:
        """Slots that so many chunks would find, at least one."""
        workers = self.most_workers
        if self.chunks_per_worker:
            workers = max(min(ceil(chunks / self.chunks_per_worker), workers), self.least_workers)
        return max(self.slots, workers * self.slots_per_worker, 1)


@dataclass(frozen=True)
class Work:
    """A section to be divided: what its cost grows with, and how many parts it has at most (events, locations)."""

    items: float
    parts: int


@dataclass(frozen=True)
class ChunkAdvice:
    """A count that AUTO has chosen. Seconds are predictions; what could not be known is None."""

    chunks: int
    reason: str
    slots: int
    runs: int = 0
    """Earlier runs that the costs were learned from."""
    unit: str | None = None
    items: float | None = None
    start_seconds: float | None = None
    seconds_per_item: float | None = None
    spread: float | None = None
    section_seconds: float | None = None


def predict(model: CostModel, work: Work, fleet: Fleet, chunks: int) -> float:
    """Seconds from the start of the section's first chunk to the end of its last.

    Chunks come in waves, one to a slot; the largest has some parts more than the others, and of many chunks that vary
    the slowest is expected to take `spread * sqrt(2 ln(chunks))` longer than usual.
    """
    if chunks == 1:
        return model.seconds_alone(work.items, fleet.slots_per_worker)
    usual = model.seconds(work.items / chunks)
    largest = model.seconds(work.items * ceil(work.parts / chunks) / work.parts)
    waves = ceil(chunks / fleet.slots_for(chunks))
    return waves * usual + (largest - usual) + usual * min(1.0, model.spread * sqrt(2 * log(chunks)))


def best_chunks(model: CostModel, work: Work, fleet: Fleet, most: int) -> int:
    """The smallest count whose prediction is nearly the best of all up to `most`.

    While the start is an assumption, no slot gets more than one chunk: a start that costs ten times as much then costs
    that once, and the next run has a second size to learn from.
    """
    up_to = range(1, max(min(most, work.parts, MOST_CHUNKS), 1) + 1)
    counts = [count for count in up_to if model.knows_start or count <= fleet.slots_for(count)]
    seconds = [predict(model, work, fleet, count) for count in counts]
    enough = min(seconds) * (1 + NEARLY_BEST)
    return next(count for count, each in zip(counts, seconds, strict=True) if each <= enough)


def usual_chunks(fleet: Fleet, parts: int | None, most: int, least_parts: int = 1) -> int:
    """Without a measurement: a chunk for each slot, but none with fewer than `least_parts` parts."""
    bound = max(min(most, MOST_CHUNKS, ceil(parts / least_parts) if parts else MOST_CHUNKS), 1)
    return next((count for count in range(1, bound) if count >= fleet.slots_for(count)), bound)


def advise(
    model: CostModel | None,
    work: Work | None,
    fleet: Fleet,
    most: int,
    unit: str,
    *,
    unknown: str,
    least_parts: int = 1,
) -> ChunkAdvice:
    """The count, and why. `unknown` says what is missing where there is no model, or no size of the work."""
    if model is None or work is None:
        chunks = usual_chunks(fleet, work.parts if work else None, most, least_parts)
        slots = fleet.slots_for(chunks)
        return ChunkAdvice(chunks, f"{unknown}: a chunk for each slot, as far as there are enough {unit}", slots)
    chunks = best_chunks(model, work, fleet, most)
    return ChunkAdvice(
        chunks=chunks,
        reason=_reason(model, work, fleet, chunks),
        slots=fleet.slots_for(chunks),
        runs=model.runs,
        unit=unit,
        items=work.items,
        start_seconds=round(model.start, 3),
        seconds_per_item=model.per_item,
        spread=round(model.spread, 3),
        section_seconds=round(predict(model, work, fleet, chunks), 3),
    )


def makespan(seconds: Sequence[float], slots: int) -> float:
    """Seconds that chunks of these lengths take on so many slots, handed out in their order as slots become free."""
    ends = [0.0] * max(1, min(slots, len(seconds)))
    heapify(ends)
    for each in seconds:
        heapreplace(ends, ends[0] + each)
    return max(ends)


def _reason(model: CostModel, work: Work, fleet: Fleet, chunks: int) -> str:
    slots = fleet.slots_for(chunks)
    section = predict(model, work, fleet, chunks)
    learned = f"learned from {model.runs} earlier run{'s' if model.runs > 1 else ''}"
    assumed = "" if model.knows_start else ", all of chunks of one size, so that the start is an assumption"
    where = "alone on all cores of a worker" if chunks == 1 else f"on {slots} slot{'s' if slots > 1 else ''}"
    price = f"a chunk's start costs {model.start:.1f} s, all the rest {work.items * model.per_item:.1f} s of one slot"
    return f"about {section:.1f} s {where}: {price}, {learned}{assumed}"
