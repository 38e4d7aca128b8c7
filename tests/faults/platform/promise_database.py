"""The promise, in the database: every run ended and accounted for, each effect once, nothing left under way."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, Row, func, select

from shared.core.states import ENDED_SUB_TASKS, LIVE_ATTEMPTS, AttemptState, RunState, SubTaskState
from shared.database.execution import Attempt, Outbox, Run, StageRow, SubTask
from tests.faults.platform.analyses import ENDED

Rows = Sequence[Row[Any]]


@dataclass(frozen=True)
class Told:
    """What the database says of all runs, in one snapshot."""

    runs: Rows
    stages: Rows
    sub_tasks: Rows
    attempts: Rows
    unsent: int

    def stages_of(self, run_id: int) -> Rows:
        """Of one run."""
        return self._by_run["stages"][run_id]

    def sub_tasks_of(self, run_id: int) -> Rows:
        """Of one run."""
        return self._by_run["sub_tasks"][run_id]

    def attempts_of(self, run_id: int) -> Rows:
        """Of one run."""
        return self._by_run["attempts"][run_id]

    @cached_property
    def _by_run(self) -> dict[str, defaultdict[int, list[Row[Any]]]]:
        grouped = {name: defaultdict[int, list[Row[Any]]](list) for name in ("stages", "sub_tasks", "attempts")}
        for name, by_run in grouped.items():
            for row in getattr(self, name):
                by_run[row.run_id].append(row)
        return grouped


def look(engine: Engine) -> Told:
    """One snapshot of everything that is executed."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        runs, stages, sub_tasks, attempts = (
            connection.execute(select(table.__table__)).all() for table in (Run, StageRow, SubTask, Attempt)
        )
        unsent = connection.scalar(select(func.count()).select_from(Outbox).where(Outbox.sent_at.is_(None)))
        return Told(runs, stages, sub_tasks, attempts, unsent or 0)


def broken_promises(told: Told) -> Iterator[str]:
    """What does not hold."""
    if told.unsent:
        yield f"{told.unsent} messages are left in the outbox"
    for run in told.runs:
        for text in (*_of_run(told, run), *_of_sub_tasks(told, run)):
            yield f"run {run.id} ({run.kind}, {run.state}): {text}"


def _of_run(told: Told, run: Row[Any]) -> Iterator[str]:
    sub_tasks, stages = told.sub_tasks_of(run.id), told.stages_of(run.id)
    if run.state not in ENDED or run.ended_at is None:
        yield "it has not ended"
    open_ones = [row.slug for row in sub_tasks if row.state not in ENDED_SUB_TASKS]
    if open_ones:
        yield f"sub-tasks are left: {open_ones}"
    optional = {stage.position for stage in stages if stage.optional}
    undone = [row.slug for row in sub_tasks if row.state != SubTaskState.COMPLETED and row.stage not in optional]
    if run.state == RunState.COMPLETED and (undone or not sub_tasks):
        yield f"it has completed without {undone or 'any sub-task'}"
    for stage in stages:
        counted = Counter(row.state for row in sub_tasks if row.stage == stage.position)
        kept = {state: getattr(stage, state.lower()) for state in SubTaskState}
        if any(counted[state] != count for state, count in kept.items()) or counted.total() != stage.size:
            yield f"the counters of {stage.step} are {kept}, its sub-tasks {dict(counted)}"


def _of_sub_tasks(told: Told, run: Row[Any]) -> Iterator[str]:
    attempts = told.attempts_of(run.id)
    for attempt in attempts:
        if attempt.state in LIVE_ATTEMPTS:
            yield f"attempt {attempt.attempt_id} is still {attempt.state}"
    for sub_task in told.sub_tasks_of(run.id):
        own = [attempt for attempt in attempts if attempt.sub_task_id == sub_task.id]
        yield from (f"{sub_task.slug}: {text}" for text in _of_sub_task(sub_task, own))


def _of_sub_task(sub_task: Row[Any], attempts: Rows) -> Iterator[str]:
    accepted = [attempt.attempt_id for attempt in attempts if attempt.state == AttemptState.COMPLETED]
    is_own = sub_task.state == SubTaskState.COMPLETED and sub_task.copied_from_id is None
    if accepted != ([sub_task.attempt_id] if is_own else []):
        yield f"it is {sub_task.state}, and accepted are {accepted}"
    fences = sorted(attempt.fence for attempt in attempts)
    if fences != list(range(1, len(attempts) + 1)):
        yield f"its fences are {fences}"
    over = [each for each in attempts if is_own and each.attempt_id not in accepted and _began_after(each, attempts)]
    if over:
        yield f"granted again when its result had been accepted: {[str(each.attempt_id) for each in over]}"


def _began_after(attempt: Row[Any], attempts: Rows) -> bool:
    return any(each.state == AttemptState.COMPLETED and attempt.fence > each.fence for each in attempts)
