"""What earlier runs of a model say of the run that is planned: the costs of its chunks, and its own size. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.core.auto_chunks import ChunkAdvice, Fleet, Work, advise
from shared.core.chunk_costs import CostModel, MeasuredSection, fit
from shared.core.inputs import ChunkingFacts

LEAST_LOCATIONS = 500
"""Of a lookup chunk, until lookups of the model have been measured."""
LOOKUP_EFFICIENCY, LOSS_EFFICIENCY = 0.0, 1.0
"""Until it has been measured: a lookup that is one chunk is taken to use one core, a loss calculation all of them."""


@dataclass(frozen=True)
class PastSection:
    """The parallel section of an earlier run, as in MeasuredSection, and what that run was split by."""

    facts: ChunkingFacts
    chunks: int
    seconds: tuple[float, ...]
    around: tuple[float, ...] = ()
    cores: int = 1


@dataclass(frozen=True)
class Learned:
    """The costs of a section's chunks and the size of the section, each None where nothing is known of it."""

    costs: CostModel | None
    work: Work | None
    unit: str
    unknown: str
    """What is missing where one is None."""
    least_parts: int = 1

    def advise(self, fleet: Fleet, most: int) -> ChunkAdvice:
        """The number of chunks for a fleet, `most` at most."""
        return advise(self.costs, self.work, fleet, most, self.unit, unknown=self.unknown, least_parts=self.least_parts)


def learn_lookup(past: Sequence[PastSection], facts: ChunkingFacts) -> Learned:
    """Of a keys lookup, whose cost grows with its locations."""
    costs = fit(_measured((section, lookup_work(section.facts)) for section in past), LOOKUP_EFFICIENCY)
    unmeasured = "no lookup of this model has been measured yet"
    return Learned(costs, lookup_work(facts), "locations", unmeasured, LEAST_LOCATIONS)


def learn_losses(past: Sequence[PastSection], facts: ChunkingFacts) -> Learned:
    """Of a loss calculation, whose cost grows with events times locations; with events, where locations are unknown."""
    by_location = bool(facts.location_rows) and any(loss_work(each.facts, by_location=True) for each in past)
    sizes = ((section, loss_work(section.facts, by_location=by_location)) for section in past)
    costs = fit(_measured(sizes), LOSS_EFFICIENCY)
    work = loss_work(facts, by_location=by_location)
    unknown = f"the number of events is not known ({facts.events_unknown or 'the run does not say why'})"
    if work is not None:
        unknown = "no losses of this model with a known number of events have been measured yet"
    return Learned(costs, work, "events at locations" if by_location else "events", unknown)


def lookup_work(facts: ChunkingFacts) -> Work | None:
    """What a keys lookup is divided by; None where that is not known."""
    rows = facts.location_rows
    return Work(float(rows), rows) if rows and rows > 0 else None


def loss_work(facts: ChunkingFacts, *, by_location: bool) -> Work | None:
    """What a loss calculation is divided by, events, and what it costs by; None where that is not known."""
    events, locations = facts.events or 0, facts.location_rows or 0
    if events < 1 or (by_location and locations < 1):
        return None
    return Work(float(events * locations if by_location else events), events)


def _measured(past: Iterable[tuple[PastSection, Work | None]]) -> list[MeasuredSection]:
    return [
        MeasuredSection(work.items, section.chunks, section.seconds, section.around, section.cores)
        for section, work in past
        if work is not None
    ]
