"""What a resumed run begins with: copies of the completed sub-tasks of an ended run, whose rows never change again."""

from dataclasses import replace

from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from shared.core.facts import StageFacts
from shared.core.states import SubTaskState
from shared.database.execution import StageRow, SubTask
from shared.database.working_set import WorkingSet

_COPIED = (
    "state",
    "artifacts",
    "retry_count",
    "pending_time",
    "queue_time",
    "start_time",
    "end_time",
    "events_total",
    "events_complete",
)


def copy_completed(
    work: WorkingSet, run_id: int, ended_id: int, planned: tuple[StageFacts, ...]
) -> tuple[StageFacts, ...]:
    """Make COMPLETED, in the rows that have just been written, what the ended run had completed.

    The copies refer to the objects of the attempts that completed the originals. Returns the stages as they are then.
    """
    counts = _copy_sub_tasks(work, run_id, ended_id)
    stages = tuple(_with_completed(stage, counts.get(stage.position, 0)) for stage in planned)
    _write_stages(work, run_id, ended_id, stages)
    return stages


def _copy_sub_tasks(work: WorkingSet, run_id: int, ended_id: int) -> dict[int, int]:
    """Returns how many were copied, by stage."""
    new, old = SubTask.__table__, aliased(SubTask, name="old")
    same = (new.c.stage == old.stage) & (new.c.chunk == old.chunk) & (new.c.slug == old.slug)
    is_done = (old.run_id == ended_id) & (old.state == SubTaskState.COMPLETED)
    values = {name: getattr(old, name) for name in _COPIED}
    # A copy of a copy leads to the original as well: that one has the attempts, their logs and their objects.
    origin = func.coalesce(old.copied_from_id, old.id)
    statement = update(SubTask).where(new.c.run_id == run_id, same, is_done).values(copied_from_id=origin, **values)
    work.connection.execute(statement)
    query = select(SubTask.stage, func.count()).where(SubTask.run_id == run_id, SubTask.state == SubTaskState.COMPLETED)
    return {row[0]: row[1] for row in work.connection.execute(query.group_by(SubTask.stage))}


def _with_completed(stage: StageFacts, count: int) -> StageFacts:
    return replace(stage, pending=stage.size - count, completed=count)


def _write_stages(work: WorkingSet, run_id: int, ended_id: int, stages: tuple[StageFacts, ...]) -> None:
    old = aliased(StageRow, name="old")
    for stage in stages:
        if not stage.completed:
            continue
        of_new = (StageRow.run_id == run_id) & (StageRow.position == stage.position)
        of_old = (old.run_id == ended_id) & (old.position == StageRow.position)
        values = {"pending": stage.pending, "completed": stage.completed, "artifacts": old.artifacts}
        work.connection.execute(update(StageRow).where(of_new, of_old).values(**values))
