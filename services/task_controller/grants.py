"""What a grant says: the sub-task, where its results go, and the files that its step reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, select

from shared.codec import from_plain
from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import Phase, SlotWeight, attempt_prefix, log_key
from shared.database.execution import StageRow, SubTask
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import Grant

# Statements are made once: to make one costs more processor time than to execute it.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_GRANTED = select(SubTask.id, SubTask.run_id, SubTask.stage, SubTask.chunk, SubTask.slug).where(SubTask.id.in_(_IDS))
_LEFT = (
    select(StageRow.run_id, StageRow.position, StageRow.artifacts)
    .where(StageRow.run_id.in_(_IDS), StageRow.parallel.is_(False))
    .order_by(StageRow.position)
)
_CHUNKS = (
    select(SubTask.artifacts)
    .where(SubTask.run_id == bindparam("run"), SubTask.stage == bindparam("at"))
    .order_by(SubTask.chunk)
)


def write_grants(work: WorkingSet, sub_task_ids: Sequence[int], lease: float) -> dict[int, Grant]:
    """The grants of the sub-tasks, by sub-task, each for its newest attempt. `lease` in seconds."""
    if not sub_task_ids:
        return {}
    rows = work.connection.execute(_GRANTED, {"ids": sorted(sub_task_ids)}).all()
    left = _left_by_serial_stages(work, {row.run_id for row in rows})
    inputs = {run_id: from_plain(RunInputs, work.runs[run_id].row["inputs"]) for run_id in {row.run_id for row in rows}}
    return {row.id: _grant(work, row, inputs[row.run_id], left.get(row.run_id, []), lease) for row in rows}


def _left_by_serial_stages(work: WorkingSet, run_ids: set[int]) -> dict[int, list[tuple[int, Mapping[str, FileRef]]]]:
    left: dict[int, list[tuple[int, Mapping[str, FileRef]]]] = {}
    for row in work.connection.execute(_LEFT, {"ids": sorted(run_ids)}):
        left.setdefault(row.run_id, []).append((row.position, _references(row.artifacts)))
    return left


def _grant(
    work: WorkingSet, row: Any, inputs: RunInputs, left: list[tuple[int, Mapping[str, FileRef]]], lease: float
) -> Grant:
    run, sub_task = work.runs[row.run_id].facts, work.sub_tasks[row.id]
    stage = run.stages[row.stage]
    if sub_task.attempt_id is None:
        raise LookupError(f"sub-task {row.id} has no attempt to grant")
    attempt = str(sub_task.attempt_id)
    files = dict(inputs.files)
    for position, artifacts in left:
        if position < row.stage:
            files |= artifacts
    return Grant(
        attempt_id=sub_task.attempt_id,
        fence=sub_task.fence,
        lease_seconds=lease,
        run_id=run.run_id,
        run_uuid=run.run_uuid,
        analysis_id=run.analysis_id,
        sub_task_id=row.id,
        step=stage.step,
        slug=row.slug,
        phase=stage.phase,
        chunk=row.chunk if stage.parallel else None,
        chunks=stage.size if stage.parallel else None,
        weight=SlotWeight(sub_task.weight),
        key_prefix=attempt_prefix(Phase(stage.phase), run.analysis_id, run.run_uuid, attempt),
        log_key=log_key(run.run_uuid, attempt),
        files=files,
        chunk_files=_chunk_files(work, row.run_id, row.stage - 1),
        data_files=inputs.data_files,
        reporting_currency=inputs.reporting_currency,
    )


def _chunk_files(work: WorkingSet, run_id: int, stage: int) -> tuple[Mapping[str, FileRef], ...]:
    """What the chunks of the stage before left, in their order; nothing after a serial stage."""
    if stage < 0 or not work.runs[run_id].facts.stages[stage].parallel:
        return ()
    found = work.connection.scalars(_CHUNKS, {"run": run_id, "at": stage})
    return tuple(_references(artifacts) for artifacts in found)


def _references(artifacts: Mapping[str, Any] | None) -> Mapping[str, FileRef]:
    return {name: from_plain(FileRef, reference) for name, reference in (artifacts or {}).items()}
