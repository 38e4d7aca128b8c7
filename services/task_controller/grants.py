"""What a grant says: the sub-task, where its results go, and the files that its step reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from shared.codec import from_plain
from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import Phase, SlotWeight, attempt_prefix, log_key
from shared.database.execution import SubTask
from shared.database.working_set import LockedRun, WorkingSet
from shared.messages.catalogue import Grant

# A statement is made once: to make one costs more processor time than to execute it.
_CHUNKS = (
    select(SubTask.artifacts)
    .where(SubTask.run_id == bindparam("run"), SubTask.stage == bindparam("at"))
    .order_by(SubTask.chunk)
)


def write_grants(work: WorkingSet, sub_task_ids: Sequence[int], lease: float) -> dict[int, Grant]:
    """The grants of the sub-tasks, by sub-task, each for its newest attempt. `lease` in seconds."""
    runs = {work.names[sub_task_id].run_id for sub_task_id in sub_task_ids}
    inputs = {run_id: from_plain(RunInputs, work.runs[run_id].row["inputs"]) for run_id in runs}
    return {each: _grant(work, each, inputs[work.names[each].run_id], lease) for each in sub_task_ids}


def _grant(work: WorkingSet, sub_task_id: int, inputs: RunInputs, lease: float) -> Grant:
    name, sub_task = work.names[sub_task_id], work.sub_tasks[sub_task_id]
    run = work.runs[name.run_id].facts
    stage = run.stages[sub_task.stage]
    if sub_task.attempt_id is None:
        raise LookupError(f"sub-task {sub_task_id} has no attempt to grant")
    attempt = str(sub_task.attempt_id)
    return Grant(
        attempt_id=sub_task.attempt_id,
        fence=sub_task.fence,
        lease_seconds=lease,
        run_id=run.run_id,
        run_uuid=run.run_uuid,
        analysis_id=run.analysis_id,
        sub_task_id=sub_task_id,
        step=stage.step,
        slug=name.slug,
        phase=stage.phase,
        chunk=name.chunk if stage.parallel else None,
        chunks=stage.size if stage.parallel else None,
        weight=SlotWeight(sub_task.weight),
        key_prefix=attempt_prefix(Phase(stage.phase), run.owner_id, run.run_uuid, attempt),
        log_key=log_key(run.run_uuid, attempt),
        files=dict(inputs.files) | _left_by_serial_stages(work.runs[name.run_id], sub_task.stage),
        chunk_files=_chunk_files(work, name.run_id, sub_task.stage - 1),
        data_files=inputs.data_files,
        reporting_currency=inputs.reporting_currency,
        portfolio_id=run.portfolio_id,
    )


def _left_by_serial_stages(run: LockedRun, before: int) -> dict[str, FileRef]:
    """By name, what the serial stages before this one have left; of one name, what the latest has."""
    left: dict[str, FileRef] = {}
    for position in sorted(run.artifacts):
        if position < before:
            left |= _references(run.artifacts[position])
    return left


def _chunk_files(work: WorkingSet, run_id: int, stage: int) -> tuple[Mapping[str, FileRef], ...]:
    """What the chunks of the stage before left, in their order; nothing after a serial stage."""
    if stage < 0 or not work.runs[run_id].facts.stages[stage].parallel:
        return ()
    found = work.connection.scalars(_CHUNKS, {"run": run_id, "at": stage})
    return tuple(_references(artifacts) for artifacts in found)


def _references(artifacts: Mapping[str, Any] | None) -> Mapping[str, FileRef]:
    return {name: from_plain(FileRef, reference) for name, reference in (artifacts or {}).items()}
