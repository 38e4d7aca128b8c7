"""The decisions about runs: `decide(facts, event)`, pure; a shell locks, loads, decides, saves and publishes."""

from shared.core.evolve import evolve
from shared.core.facts import (
    AnalysisMoved,
    AttemptEnded,
    AttemptFacts,
    AttemptMoved,
    CancelRequested,
    Change,
    Decision,
    Event,
    Facts,
    Instruction,
    Looked,
    PortfolioMoved,
    PublishTokens,
    RunFacts,
    RunMoved,
    RunPlanned,
    RunUnplannable,
    StageFacts,
    StageQueued,
    StopAttempts,
    SubTaskFacts,
    SubTaskMoved,
    WaitingCancelled,
    WorkGranted,
)
from shared.core.plan import Phase, SlotWeight
from shared.core.retries import Cause, RetryPolicy
from shared.core.states import (
    ATTEMPT,
    RUN,
    SUB_TASK,
    AnalysisEvent,
    AttemptEvent,
    AttemptState,
    ExposureEvent,
    RunEvent,
    RunState,
    SubTaskEvent,
    allows,
    move,
)

_ATTEMPT_EVENTS = {
    None: AttemptEvent.COMPLETED,
    Cause.MODEL_ERROR: AttemptEvent.FAILED,
    Cause.NO_KEYS: AttemptEvent.FAILED,
    Cause.UNREADABLE: AttemptEvent.FAILED,
    Cause.STORAGE: AttemptEvent.FAILED,
    Cause.LOST: AttemptEvent.LOST,
    Cause.OUT_OF_MEMORY: AttemptEvent.OUT_OF_MEMORY,
    Cause.UNDELIVERED: AttemptEvent.UNDELIVERED,
    Cause.DRAINED: AttemptEvent.DRAINED,
    Cause.CANCELLED: AttemptEvent.CANCELLED,
}
_STARTED = {Phase.INPUTS: AnalysisEvent.INPUTS_STARTED, Phase.LOSSES: AnalysisEvent.LOSSES_STARTED}
_FAILED = {Phase.INPUTS: AnalysisEvent.INPUTS_FAILED, Phase.LOSSES: AnalysisEvent.LOSSES_FAILED}
_RECORDED = {
    "record-input-files": AnalysisEvent.INPUTS_RECORDED,
    "record-losses-files": AnalysisEvent.LOSSES_RECORDED,
    "record-combined-losses": AnalysisEvent.LOSSES_RECORDED,
}
"""What is recorded of a portfolio may be what is wrong with it; the worker monitor, which knows, moves its statuses."""


def decide(facts: Facts, event: Event, policy: RetryPolicy) -> Decision:
    """What follows from the event. Raises IllegalTransition where a table has no row for it."""
    match event:
        case RunPlanned():
            return _planned(facts)
        case RunUnplannable():
            return _unplannable(facts, event)
        case CancelRequested():
            return _stopped(facts, (StopAttempts(),))
        case Looked():
            return _looked(facts)
        case WorkGranted():
            return _granted(facts, event)
        case AttemptEnded():
            return _ended(facts, event, policy)


def _planned(facts: Facts) -> Decision:
    if facts.run.state != RunState.REQUESTED:
        return Decision()
    change = RunMoved(move(RUN, facts.run.state, RunEvent.PLANNED))
    return _advanced(facts, (change,))


def _unplannable(facts: Facts, event: RunUnplannable) -> Decision:
    if facts.run.state != RunState.REQUESTED:
        return Decision()
    changes = (RunMoved(move(RUN, facts.run.state, RunEvent.SUB_TASK_FAILED)), _owner_failed(event.phase))
    return _stopped(facts, (), changes)


def _looked(facts: Facts) -> Decision:
    if facts.run.is_stopping:
        return _stopped(facts, (StopAttempts(),) if facts.run.open_sub_tasks else ())
    return _advanced(facts, ()) if facts.run.state == RunState.ACTIVE else Decision()


def _granted(facts: Facts, event: WorkGranted) -> Decision:
    sub_task = _the_sub_task(facts)
    if facts.run.state != RunState.ACTIVE or not allows(SUB_TASK, sub_task.state, SubTaskEvent.GRANTED):
        return Decision(refusal=f"the sub-task is {sub_task.state}, its run {facts.run.state}")
    after = move(SUB_TASK, sub_task.state, SubTaskEvent.GRANTED)
    changes: list[Change] = [SubTaskMoved(sub_task.state, after, attempt_id=event.attempt_id)]
    stage = facts.run.stages[sub_task.stage]
    if stage.phase in _STARTED and (facts.run.resumed or _is_first_of_phase(facts.run, stage)):
        # A resumed run begins anywhere. Where the status does not allow the event, the phase has begun before.
        changes.append(AnalysisMoved(_STARTED[stage.phase]))
    return Decision(tuple(changes))


def _ended(facts: Facts, event: AttemptEnded, policy: RetryPolicy) -> Decision:
    if facts.attempt is None or facts.sub_task is None:
        return Decision(refusal="this attempt is not known")
    if facts.sub_task.attempt_id != facts.attempt.attempt_id:
        return Decision(refusal="a newer attempt has been granted")
    cause = _told_apart(event, facts.attempt)
    if not allows(ATTEMPT, facts.attempt.state, _ATTEMPT_EVENTS[cause]):
        return Decision()
    if facts.run.is_stopping:
        return _confirmed(facts)
    if facts.run.state != RunState.ACTIVE:
        return Decision(refusal=f"the run is {facts.run.state}")
    if cause is not None:
        return _failed(facts, cause, event, policy)
    if not allows(SUB_TASK, facts.sub_task.state, SubTaskEvent.COMPLETED):
        return Decision(refusal=f"the sub-task is {facts.sub_task.state}")
    return _completed(facts)


def _told_apart(event: AttemptEnded, attempt: AttemptFacts) -> Cause | None:
    """A grant that no worker has told of was not lost with one: it never reached one."""
    if event.cause == Cause.LOST and attempt.state == AttemptState.GRANTED and not event.began:
        return Cause.UNDELIVERED
    return event.cause


def _confirmed(facts: Facts) -> Decision:
    """Whatever an attempt of a stopping run reports confirms that it has ended."""
    if not allows(ATTEMPT, _the_attempt(facts).state, AttemptEvent.CANCELLED):
        return Decision()
    changes: list[Change] = [_attempt_moved(facts, AttemptEvent.CANCELLED)]
    sub_task = _the_sub_task(facts)
    if allows(SUB_TASK, sub_task.state, SubTaskEvent.CANCELLED):
        changes.append(SubTaskMoved(sub_task.state, move(SUB_TASK, sub_task.state, SubTaskEvent.CANCELLED)))
    return _stopped(facts, (), tuple(changes))


def _completed(facts: Facts) -> Decision:
    sub_task = _the_sub_task(facts)
    after = move(SUB_TASK, sub_task.state, SubTaskEvent.COMPLETED)
    changes: list[Change] = [_attempt_moved(facts, AttemptEvent.COMPLETED), SubTaskMoved(sub_task.state, after)]
    recorded = _RECORDED.get(facts.run.stages[sub_task.stage].step)
    if recorded is not None:
        changes.append(AnalysisMoved(recorded))
    return _advanced(facts, tuple(changes))


def _failed(facts: Facts, cause: Cause, event: AttemptEnded, policy: RetryPolicy) -> Decision:
    sub_task, stage = _the_sub_task(facts), facts.run.stages[_the_sub_task(facts).stage]
    attempt = _attempt_moved(facts, _ATTEMPT_EVENTS[cause])
    ended = {**sub_task.ended, cause: sub_task.ended.get(cause, 0) + 1}
    if policy.has_tries_left(cause, ended):
        delay = policy.delay(cause, ended, event.jitter)
        after = move(SUB_TASK, sub_task.state, SubTaskEvent.RETRIED)
        alone = SlotWeight.ALL if cause == Cause.OUT_OF_MEMORY else None
        if alone:
            # Its one more try would not be alone beside an earlier attempt that still has its memory.
            delay = max(delay, event.earlier_may_live)
        moved = SubTaskMoved(sub_task.state, after, ended_by=cause, delay=delay, weight=alone)
        return Decision((attempt, moved), (PublishTokens(stage.queue, 1, delay),))
    moved = SubTaskMoved(sub_task.state, move(SUB_TASK, sub_task.state, SubTaskEvent.FAILED), ended_by=cause)
    if stage.optional:
        return _advanced(facts, (attempt, moved))
    return _stopped(facts, (StopAttempts(),), (attempt, moved, *_run_failed(facts.run, stage, cause)))


def _run_failed(run: RunFacts, stage: StageFacts, cause: Cause) -> tuple[Change, ...]:
    without_keys = cause == Cause.NO_KEYS and stage.phase == Phase.INPUTS
    moved = AnalysisMoved(AnalysisEvent.INPUTS_WITHOUT_KEYS) if without_keys else _owner_failed(stage.phase)
    return RunMoved(move(RUN, run.state, RunEvent.SUB_TASK_FAILED)), moved


def _owner_failed(phase: Phase) -> Change:
    return AnalysisMoved(_FAILED[phase]) if phase in _FAILED else PortfolioMoved(ExposureEvent.FAILED)


def _advanced(facts: Facts, changes: tuple[Change, ...]) -> Decision:
    """Make ready what the changes have made ready, or end the run when nothing is left."""
    run = evolve(facts, changes).run
    stage = next((stage for stage in run.stages if not stage.is_done), None)
    if stage is None:
        return Decision((*changes, RunMoved(move(RUN, run.state, RunEvent.ALL_ENDED))))
    if not stage.pending:
        return Decision(changes)
    return Decision((*changes, StageQueued(stage.position)), (PublishTokens(stage.queue, stage.pending),))


def _stopped(facts: Facts, instructions: tuple[Instruction, ...], changes: tuple[Change, ...] = ()) -> Decision:
    """Cancel what waits; end the run once no worker holds any of it."""
    run = evolve(facts, changes).run
    if not run.is_stopping:
        return Decision(changes)
    if any(stage.waiting for stage in run.stages):
        changes = (*changes, WaitingCancelled())
    if any(stage.started for stage in run.stages):
        return Decision(changes, instructions)
    return Decision((*changes, RunMoved(move(RUN, run.state, RunEvent.ALL_ENDED))))


def _attempt_moved(facts: Facts, event: AttemptEvent) -> AttemptMoved:
    return AttemptMoved(move(ATTEMPT, _the_attempt(facts).state, event))


def _is_first_of_phase(run: RunFacts, stage: StageFacts) -> bool:
    return stage.position == min(other.position for other in run.stages if other.phase == stage.phase)


def _the_sub_task(facts: Facts) -> SubTaskFacts:
    if facts.sub_task is None:
        raise ValueError("this event concerns a sub-task, and none is given")
    return facts.sub_task


def _the_attempt(facts: Facts) -> AttemptFacts:
    if facts.attempt is None:
        raise ValueError("this event concerns an attempt, and none is given")
    return facts.attempt
