"""What AUTO looks at: the earlier runs of a model, as far as chunks were measured, and its fleet.

A bounded number of rows, by index: of the newest completed runs of the queue, the first chunks of a section.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from shared.codec import Unreadable, from_plain
from shared.core.auto_chunks import Fleet
from shared.core.chunk_learning import PastSection
from shared.core.inputs import ChunkingFacts
from shared.core.plan import SlotWeight
from shared.core.states import RunState, SubTaskState
from shared.database.execution import Attempt, Run, StageRow, SubTask, Worker
from shared.database.resources import Analysis, ModelScaling

LOOKUP_STEP, LOSS_STEP = "prepare-keys-file", "generate-losses-chunk"
RUNS_READ = 20
CHUNKS_READ = 50
_WORKERS_READ = 1000
_ALIVE = timedelta(seconds=30)
"""Heard of within; a worker says something every two seconds."""

_RUNS = (
    select(Run.id, Run.facts)
    .where(Run.model_queue == bindparam("queue"), Run.state == RunState.COMPLETED)
    .order_by(Run.id.desc())
    .limit(RUNS_READ)
)
_CHUNKS = (
    select(
        SubTask.run_id,
        SubTask.weight,
        StageRow.size,
        (func.extract("epoch", Attempt.finished_at - Attempt.started_at)).label("seconds"),
        (func.extract("epoch", Attempt.ended_at - Attempt.granted_at)).label("taken"),
        Worker.slots,
    )
    .join(StageRow, (StageRow.run_id == SubTask.run_id) & (StageRow.position == SubTask.stage))
    .join(Attempt, Attempt.attempt_id == SubTask.attempt_id)
    .outerjoin(Worker, Worker.worker_id == Attempt.worker_id)
    .where(
        SubTask.run_id.in_(bindparam("runs", expanding=True)),
        StageRow.step == bindparam("step"),
        SubTask.chunk < CHUNKS_READ,
        SubTask.state == SubTaskState.COMPLETED,
        # Retries were measured under other conditions; copies in resumed runs name no attempt and do not join.
        SubTask.fence == 1,
        Attempt.started_at.is_not(None),
        Attempt.finished_at >= Attempt.started_at,
        Attempt.ended_at.is_not(None),
    )
    .order_by(SubTask.run_id.desc(), SubTask.chunk)
)
_WORKERS = (
    select(
        Worker.slots,
        (Worker.died_at.is_(None) & ~Worker.draining & (Worker.last_seen >= func.now() - _ALIVE)).label("alive"),
    )
    .where(Worker.queue == bindparam("queue"))
    .order_by(Worker.last_seen.desc())
    .limit(_WORKERS_READ)
)
_SCALING = (
    select(ModelScaling.__table__)
    .join(Analysis, Analysis.model_id == ModelScaling.model_id)
    .where(Analysis.id == bindparam("id"))
)


def past_sections(connection: Connection, queue: str, step: str) -> list[PastSection]:
    """The sections of this step (LOOKUP_STEP or LOSS_STEP) in the newest completed runs of the queue, newest first."""
    facts = {row.id: _facts(row.facts) for row in connection.execute(_RUNS, {"queue": queue})}
    rows: dict[int, list[Any]] = {}
    if facts:
        for row in connection.execute(_CHUNKS, {"runs": sorted(facts), "step": step}):
            rows.setdefault(row.run_id, []).append(row)
    return [_section(known, of_run) for run_id, of_run in rows.items() if (known := facts[run_id]) is not None]


def fleet_of(connection: Connection, queue: str, analysis_id: int) -> Fleet:
    """The workers of the queue that are alive, and what the model's scaling lets it grow to for one run."""
    workers = connection.execute(_WORKERS, {"queue": queue}).all()
    alive = [int(row.slots) for row in workers if row.alive]
    known = alive or [int(row.slots) for row in workers[:1]]
    scaling = connection.execute(_SCALING, {"id": analysis_id}).one_or_none()
    size = max(1, round(median(known))) if known else 1
    return Fleet(slots=sum(alive), slots_per_worker=size, **(_growth(scaling._asdict()) if scaling else {}))


def _growth(scaling: Mapping[Any, Any]) -> dict[str, Any]:
    """By the formulas of oasis_api.md section 4, for a queue with this run alone on it."""
    least, most = scaling["worker_count_min"], scaling["worker_count_max"]
    match scaling["scaling_strategy"]:
        case "DYNAMIC_TASKS":
            each = scaling["chunks_per_worker"] or None
            return {"most_workers": max(most, least), "least_workers": least, "chunks_per_worker": each}
        case "QUEUE_LOAD":
            return {"most_workers": max(min(1, most), least)}
        case _:
            return {"most_workers": max(scaling["worker_count_fixed"], least)}


def _facts(plain: Any) -> ChunkingFacts | None:
    """Runs of an older version may say nothing that can be read; nothing is learned from them."""
    try:
        return from_plain(ChunkingFacts, plain)
    except Unreadable:
        return None


def _section(facts: ChunkingFacts, rows: Sequence[Any]) -> PastSection:
    return PastSection(
        facts=facts,
        chunks=rows[0].size,
        seconds=tuple(float(row.seconds) for row in rows),
        # A sub-task that wants all slots also waits for them, which is no cost of its own.
        around=tuple(max(float(row.taken - row.seconds), 0.0) for row in rows if row.weight == SlotWeight.ONE),
        cores=max([row.slots for row in rows if row.slots] or [1]),
    )
