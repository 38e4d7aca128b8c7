"""Turning a requested run into stages and sub-tasks."""

import logging
from typing import Any

from sqlalchemy import insert, update

from services.task_controller.chunk_counts import ChunkCounts, chunk_counts
from services.task_controller.resuming import copy_completed
from shared import names
from shared.codec import Unreadable
from shared.core.chunking import ChunkingError
from shared.core.facts import RunPlanned, RunUnplannable, StageFacts
from shared.core.plan import Phase, RunMode, Stage, plan_run, plan_undivided, sub_tasks_of
from shared.core.resuming import has_gap
from shared.core.states import AnalysisStatus, RunKind, RunState, SubTaskState
from shared.database.execution import Run, StageRow, SubTask
from shared.database.resources import Analysis
from shared.database.working_set import WorkingSet

log = logging.getLogger(__name__)

_PHASES = {
    RunKind.GENERATE_LOSSES: Phase.LOSSES,
    RunKind.COMBINE: Phase.LOSSES,
    RunKind.VALIDATE: Phase.VALIDATION,
    RunKind.EXPOSURE_RUN: Phase.EXPOSURE,
    RunKind.EXPOSURE_TRANSFORM: Phase.TRANSFORM,
}
"""Of kinds that do not begin with inputs."""


def plan(work: WorkingSet, run_id: int) -> None:
    """Write all sub-tasks of a (locked) REQUESTED run and make the first ready; leave a run in another state alone."""
    run = work.runs.get(run_id)
    if run is None or run.facts.state != RunState.REQUESTED:
        return
    kind = RunKind(run.row["kind"])
    try:
        counts, stages = _stages_for(work, run_id, kind)
    except (ChunkingError, Unreadable, ValueError) as error:
        _refuse(work, run_id, kind, str(error))
        return
    _write_stages(work, run_id, stages)
    _write_sub_tasks(work, run_id, stages)
    _write_counts(work, run_id, counts)
    planned = tuple(_facts_of(stage) for stage in stages)
    if run.facts.resumed:
        planned = copy_completed(work, run_id, run.row["resumed_from_id"], planned)
    work.add_stages(run_id, planned)
    if has_gap(planned):
        _refuse(work, run_id, kind, "The run cannot be resumed: its plan is another one now. Request a new run.")
        return
    work.decide(run_id, RunPlanned())
    extra = {"run": run_id, "analysis": run.facts.analysis_id, "sub_tasks": sum(stage.size for stage in stages)}
    log.info("Planned a run", extra=extra)


def _stages_for(work: WorkingSet, run_id: int, kind: RunKind) -> tuple[ChunkCounts, tuple[Stage, ...]]:
    """Raises ChunkingError, Unreadable, ValueError."""
    row = work.runs[run_id].row
    if row["run_mode"] == RunMode.V1:
        return ChunkCounts(), plan_undivided(kind, row["model_queue"])
    if row["run_mode"] not in (RunMode.V2, names.SERVER_MODE):
        raise ValueError(f"No worker executes runs of mode {row['run_mode']}: set the model's run_mode to V1 or V2.")
    counts = chunk_counts(work, run_id)
    return counts, plan_run(kind, row["model_queue"], counts.lookups, counts.losses)


def _refuse(work: WorkingSet, run_id: int, kind: RunKind, reason: str) -> None:
    log.warning("A run cannot be planned", extra={"run": run_id, "reason": reason})
    work.connection.execute(update(Run).where(Run.id == run_id).values(error=reason))
    # A resumed run may have been requested for its losses alone, whatever its kind.
    at_losses = work.runs[run_id].analysis_status == AnalysisStatus.RUN_QUEUED
    phase = Phase.LOSSES if at_losses else _PHASES.get(kind, Phase.INPUTS)
    work.decide(run_id, RunUnplannable(phase))


def _facts_of(stage: Stage) -> StageFacts:
    return StageFacts(
        position=stage.position,
        step=stage.step,
        phase=stage.phase,
        queue=stage.queue,
        size=stage.size,
        parallel=stage.parallel,
        optional=stage.optional,
        pending=stage.size,
    )


def _write_stages(work: WorkingSet, run_id: int, stages: tuple[Stage, ...]) -> None:
    rows = [
        {
            "run_id": run_id,
            "position": stage.position,
            "step": stage.step,
            "phase": stage.phase,
            "queue": stage.queue,
            "parallel": stage.parallel,
            "optional": stage.optional,
            "size": stage.size,
            "pending": stage.size,
        }
        for stage in stages
    ]
    work.connection.execute(insert(StageRow), rows)


def _write_sub_tasks(work: WorkingSet, run_id: int, stages: tuple[Stage, ...]) -> None:
    run = work.runs[run_id]
    common: dict[str, Any] = {
        "run_id": run_id,
        "priority": run.facts.priority,
        "requested_at": run.row["requested_at"],
        "state": SubTaskState.PENDING,
    }
    rows = [
        common
        | {
            "stage": planned.stage,
            "chunk": planned.chunk,
            "slug": planned.slug,
            "name": planned.name,
            "queue": planned.queue,
            "weight": planned.weight,
        }
        for planned in sub_tasks_of(stages)
    ]
    work.connection.execute(insert(SubTask), rows)


def _write_counts(work: WorkingSet, run_id: int, counts: ChunkCounts) -> None:
    lookups, losses = counts.lookups, counts.losses
    values = {"lookup_chunks": lookups, "loss_chunks": losses, "chunk_advice": dict(counts.advice)}
    work.connection.execute(update(Run).where(Run.id == run_id).values(**values))
    known = {name: count for name, count in (("lookup_chunks", lookups), ("analysis_chunks", losses)) if count}
    if not known:
        return
    analysis_id = work.runs[run_id].facts.analysis_id
    of_current = (Analysis.id == analysis_id) & (Analysis.current_run_id == run_id)
    work.connection.execute(update(Analysis).where(of_current).values(**known))
