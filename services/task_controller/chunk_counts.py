"""The chunk counts of a run that is being planned: by its options, or, where the strategy is AUTO, by advice."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from shared.codec import from_plain, to_plain
from shared.core.auto_chunks import ChunkAdvice, Fleet
from shared.core.chunk_learning import learn_lookup, learn_losses
from shared.core.chunking import ChunkStrategy, check_rows, lookup_chunks, loss_chunks
from shared.core.inputs import ChunkingFacts
from shared.core.states import RunKind
from shared.database.chunk_history import LOOKUP_STEP, LOSS_STEP, fleet_of, past_sections
from shared.database.execution import Run
from shared.database.working_set import WorkingSet

log = logging.getLogger(__name__)

_WITH_INPUTS = (RunKind.GENERATE_INPUTS, RunKind.GENERATE_AND_RUN)
_WITH_LOSSES = (RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN)


@dataclass(frozen=True)
class ChunkCounts:
    """Chunks of the stages that the run has, and what AUTO says of its own, by `lookup` and `losses`, as JSON."""

    lookups: int | None = None
    losses: int | None = None
    advice: Mapping[str, Any] = field(default_factory=dict)


def chunk_counts(work: WorkingSet, run_id: int) -> ChunkCounts:
    """Of a locked run. Raises ChunkingError, Unreadable.

    A resumed run has the counts of AUTO that the ended one had: its completed chunks are parts of that division.
    """
    row = work.runs[run_id].row
    kind, facts = RunKind(row["kind"]), from_plain(ChunkingFacts, row["facts"])
    before = _counts_before(work, row["resumed_from_id"])
    advice = dict(before.advice)
    lookups = losses = None
    if kind in _WITH_INPUTS:
        if facts.options.lookup_strategy != ChunkStrategy.AUTO:
            lookups = lookup_chunks(facts.options, facts.location_rows or 0)
        elif (lookups := before.lookups) is None:
            lookups = _note(work, run_id, advice, "lookup", _advise_lookup(work, run_id, facts))
    if kind in _WITH_LOSSES:
        if facts.options.loss_strategy != ChunkStrategy.AUTO:
            losses = loss_chunks(facts.options, facts.events)
        elif (losses := before.losses) is None:
            losses = _note(work, run_id, advice, "losses", _advise_losses(work, run_id, facts))
    return ChunkCounts(lookups, losses, advice)


def _counts_before(work: WorkingSet, ended_id: int | None) -> ChunkCounts:
    if ended_id is None:
        return ChunkCounts()
    query = select(Run.lookup_chunks, Run.loss_chunks, Run.chunk_advice).where(Run.id == ended_id)
    return ChunkCounts(*work.connection.execute(query).one())


def _advise_lookup(work: WorkingSet, run_id: int, facts: ChunkingFacts) -> ChunkAdvice:
    check_rows(facts.location_rows or 0)
    row = work.runs[run_id].row
    learned = learn_lookup(past_sections(work.connection, row["model_queue"], LOOKUP_STEP), facts)
    return learned.advise(_fleet(work, row), facts.options.dynamic_chunks_max)


def _advise_losses(work: WorkingSet, run_id: int, facts: ChunkingFacts) -> ChunkAdvice:
    row = work.runs[run_id].row
    learned = learn_losses(past_sections(work.connection, row["model_queue"], LOSS_STEP), facts)
    return learned.advise(_fleet(work, row), facts.options.dynamic_chunks_max)


def _fleet(work: WorkingSet, row: Mapping[str, Any]) -> Fleet:
    return fleet_of(work.connection, row["model_queue"], row["analysis_id"])


def _note(work: WorkingSet, run_id: int, advice: dict[str, Any], stage: str, chosen: ChunkAdvice) -> int:
    advice[stage] = to_plain(chosen)
    extra = {"run": run_id, "analysis": work.runs[run_id].facts.analysis_id, "stage": stage}
    log.info("Chose a number of chunks", extra=extra | {"chunks": chosen.chunks, "reason": chosen.reason})
    return chosen.chunks
