"""Single decisions, each named after the rule that it keeps."""

from uuid import uuid4

import pytest

from shared.core.decide import decide
from shared.core.evolve import evolve
from shared.core.facts import (
    AttemptEnded,
    AttemptFacts,
    AttemptMoved,
    Facts,
    PublishTokens,
    RunFacts,
    RunMoved,
    StageFacts,
    StageQueued,
    StopAttempts,
    SubTaskFacts,
    SubTaskMoved,
    WaitingCancelled,
    WorkGranted,
)
from shared.core.plan import Phase, SlotWeight
from shared.core.retries import Cause
from shared.core.states import AttemptState, RunKind, RunState, SubTaskState
from tests.core.simulation import POLICY, SimulatedRun


def up_to(step: str, kind: RunKind = RunKind.GENERATE_AND_RUN, chunks: int = 3) -> SimulatedRun:
    """A run whose sub-tasks before the step are done and whose step is queued."""
    run = SimulatedRun(kind, chunks, chunks)
    while run.run.stages[run.sub_tasks[run.numbers(SubTaskState.QUEUED)[0]].stage].step != step:
        complete_one(run)
    return run


def complete_one(run: SimulatedRun) -> None:
    """Grant the first ready sub-task and complete it."""
    attempt = run.grant(run.numbers(SubTaskState.QUEUED)[0])
    assert attempt is not None
    run.report(attempt)


def test_a_parallel_section_becomes_queued_by_one_change_with_a_token_for_each_chunk() -> None:
    run = up_to("pre-analysis-hook", chunks=200)
    attempt = run.grant(run.numbers(SubTaskState.QUEUED)[0])
    assert attempt is not None
    decision = run.report(attempt)
    assert [change for change in decision.changes if not isinstance(change, AttemptMoved | SubTaskMoved)] == [
        StageQueued(2)
    ]
    assert decision.instructions == (PublishTokens("model", 200),)


def test_the_callback_waits_for_the_last_chunk() -> None:
    run = up_to("prepare-keys-file")
    complete_one(run)
    complete_one(run)
    assert run.run.stages[3].queued == 0
    complete_one(run)
    assert run.run.stages[3].queued == 1


def test_a_failure_with_tries_left_is_queued_again_with_a_delayed_token() -> None:
    run = up_to("collect-keys")
    number = run.numbers(SubTaskState.QUEUED)[0]
    attempt = run.grant(number)
    assert attempt is not None
    decision = run.report(attempt, Cause.MODEL_ERROR, jitter=0.0)
    assert decision.instructions == (PublishTokens("model", 1, 1.0),)
    assert run.sub_tasks[number].state == SubTaskState.QUEUED
    assert run.attempts[attempt].state == AttemptState.FAILED


def test_after_out_of_memory_the_sub_task_takes_the_whole_worker() -> None:
    run = up_to("generate-losses-chunk")
    number = run.numbers(SubTaskState.QUEUED)[0]
    assert run.sub_tasks[number].weight == SlotWeight.ONE
    attempt = run.grant(number)
    assert attempt is not None
    run.report(attempt, Cause.OUT_OF_MEMORY)
    assert run.sub_tasks[number].weight == SlotWeight.ALL


def test_a_grant_that_no_heartbeat_ever_lists_ends_as_undelivered_and_uncounted() -> None:
    run = up_to("collect-keys")
    number = run.numbers(SubTaskState.QUEUED)[0]
    for _ in range(10):
        attempt = run.grant(number)
        assert attempt is not None
        decision = run.report(attempt, Cause.LOST)
        assert run.attempts[attempt].state == AttemptState.UNDELIVERED
        assert decision.instructions == (PublishTokens("model", 1, 0.0),)
    assert run.sub_tasks[number].ended == {Cause.UNDELIVERED: 10}


def test_an_attempt_that_its_worker_calls_lost_is_counted_though_no_heartbeat_has_listed_it() -> None:
    run = up_to("collect-keys")
    number = run.numbers(SubTaskState.QUEUED)[0]
    for _ in range(6):
        attempt = run.grant(number)
        assert attempt is not None
        run.report(attempt, Cause.LOST, began=True)
        assert run.attempts[attempt].state == AttemptState.LOST
    assert run.sub_tasks[number].state == SubTaskState.ERROR
    assert run.run.state == RunState.FAILED


def test_a_listed_attempt_that_goes_silent_is_lost_and_counted() -> None:
    run = up_to("collect-keys")
    number = run.numbers(SubTaskState.QUEUED)[0]
    for _ in range(6):
        attempt = run.grant(number)
        assert attempt is not None
        run.listed(attempt)
        run.report(attempt, Cause.LOST)
    assert run.sub_tasks[number].state == SubTaskState.ERROR
    assert run.run.state == RunState.FAILED


def test_an_attempt_stays_acceptable_after_its_lease_until_a_newer_one_is_granted() -> None:
    run = up_to("collect-keys")
    number = run.numbers(SubTaskState.QUEUED)[0]
    attempt = run.grant(number)
    assert attempt is not None
    run.listed(attempt)
    run.report(attempt, Cause.LOST)
    assert run.report(attempt).refusal is None
    assert run.sub_tasks[number].state == SubTaskState.COMPLETED


def test_once_a_newer_attempt_is_granted_the_older_result_is_refused() -> None:
    run = up_to("collect-keys")
    number = run.numbers(SubTaskState.QUEUED)[0]
    older = run.grant(number)
    assert older is not None
    run.listed(older)
    run.report(older, Cause.LOST)
    newer = run.grant(number)
    assert newer is not None
    assert run.report(older).refusal == "a newer attempt has been granted"
    assert run.report(newer).refusal is None


def test_a_late_result_of_a_cleanup_that_was_given_up_for_good_is_refused() -> None:
    run = up_to("cleanup-input-generation")
    number = run.numbers(SubTaskState.QUEUED)[0]
    for _ in range(6):
        attempt = run.grant(number)
        assert attempt is not None
        run.listed(attempt)
        run.report(attempt, Cause.LOST)
    assert run.sub_tasks[number].state == SubTaskState.ERROR
    assert run.run.state == RunState.ACTIVE
    assert run.report(attempt).refusal == "the sub-task is ERROR"


def test_an_unknown_attempt_is_refused() -> None:
    run = up_to("collect-keys")
    assert decide(Facts(run.run), AttemptEnded(), POLICY).refusal == "this attempt is not known"


@pytest.mark.parametrize("cause", [None, Cause.DRAINED, Cause.CANCELLED, Cause.MODEL_ERROR, Cause.LOST])
def test_a_result_a_hand_back_and_a_confirmation_all_confirm_a_cancel(cause: Cause | None) -> None:
    run = up_to("collect-keys")
    attempt = run.grant(run.numbers(SubTaskState.QUEUED)[0])
    assert attempt is not None
    run.listed(attempt)
    run.cancel()
    run.look()
    assert run.run.state == RunState.CANCELLING
    assert run.report(attempt, cause).refusal is None
    assert run.attempts[attempt].state == AttemptState.CANCELLED
    assert run.run.state == RunState.CANCELLED


def test_a_failure_for_good_cancels_the_rest_and_stops_running_attempts() -> None:
    run = up_to("prepare-keys-file")
    first, second = (run.grant(number) for number in run.numbers(SubTaskState.QUEUED)[:2])
    assert first is not None
    assert second is not None
    decision = run.report(first, Cause.NO_KEYS)
    assert WaitingCancelled() in decision.changes
    assert RunMoved(RunState.FAILING) in decision.changes
    assert decision.instructions == (StopAttempts(),)
    run.report(second)
    assert run.run.state == RunState.FAILED


def test_a_grant_needs_its_sub_task() -> None:
    run = up_to("collect-keys")
    with pytest.raises(ValueError, match="this event concerns a sub-task"):
        decide(Facts(run.run), WorkGranted(uuid4()), POLICY)


def test_a_counter_never_goes_below_zero() -> None:
    stage = StageFacts(0, "step", Phase.INPUTS, "q", size=1, started=1)
    facts = Facts(
        RunFacts(1, "u", 1, RunState.ACTIVE, 4, (stage,)),
        SubTaskFacts(1, 0, SubTaskState.QUEUED),
        AttemptFacts(uuid4(), AttemptState.LOST),
    )
    with pytest.raises(ValueError, match="has no 1 sub-tasks that are QUEUED"):
        evolve(facts, [SubTaskMoved(SubTaskState.QUEUED, SubTaskState.COMPLETED)])
