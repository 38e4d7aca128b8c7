"""Facts after changes: how several events of one transaction build on each other."""

from collections.abc import Iterable
from dataclasses import replace

from shared.core.facts import (
    AttemptMoved,
    Change,
    Facts,
    RunFacts,
    RunMoved,
    StageFacts,
    StageQueued,
    SubTaskFacts,
    SubTaskMoved,
    WaitingCancelled,
)
from shared.core.states import SubTaskState


def evolve(facts: Facts, changes: Iterable[Change]) -> Facts:
    """The facts after the changes, in order."""
    for change in changes:
        facts = _after(facts, change)
    return facts


def _after(facts: Facts, change: Change) -> Facts:
    run, sub_task, attempt = facts.run, facts.sub_task, facts.attempt
    match change:
        case SubTaskMoved() if sub_task is not None:
            run = with_stage(run, run.stages[sub_task.stage].moved(change.before, change.after))
            sub_task = _sub_task_after(sub_task, change)
        case AttemptMoved() if attempt is not None:
            attempt = replace(attempt, state=change.after)
        case StageQueued():
            stage = run.stages[change.stage]
            run = with_stage(run, stage.moved(SubTaskState.PENDING, SubTaskState.QUEUED, stage.pending))
        case WaitingCancelled():
            run = replace(run, stages=tuple(_without_waiting(stage) for stage in run.stages))
        case RunMoved():
            run = replace(run, state=change.after)
    return Facts(run, sub_task, attempt)


def with_stage(run: RunFacts, stage: StageFacts) -> RunFacts:
    """The run with one stage replaced."""
    stages = run.stages
    return replace(run, stages=(*stages[: stage.position], stage, *stages[stage.position + 1 :]))


def _sub_task_after(sub_task: SubTaskFacts, change: SubTaskMoved) -> SubTaskFacts:
    ended = dict(sub_task.ended)
    if change.ended_by is not None:
        ended[change.ended_by] = ended.get(change.ended_by, 0) + 1
    return replace(
        sub_task,
        state=change.after,
        attempt_id=change.attempt_id or sub_task.attempt_id,
        fence=sub_task.fence + (change.attempt_id is not None),
        weight=change.weight or sub_task.weight,
        ended=ended,
    )


def _without_waiting(stage: StageFacts) -> StageFacts:
    moved = stage.moved(SubTaskState.PENDING, SubTaskState.CANCELLED, stage.pending)
    return moved.moved(SubTaskState.QUEUED, SubTaskState.CANCELLED, stage.queued)
