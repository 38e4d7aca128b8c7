"""What follows from the end of an attempt: acceptance, refusal, retries and failures."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from shared.core.inputs import FileRef
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.resources import Analysis
from shared.messages.catalogue import AttemptFinished, AttemptRefused, AttemptSettled, StopRun, Token
from tests.task_controller.world import World

pytestmark = pytest.mark.integration

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN
COUNTED = {Cause.MODEL_ERROR: 2, Cause.UNREADABLE: 2, Cause.STORAGE: 5, Cause.OUT_OF_MEMORY: 1, Cause.NO_KEYS: 0}


def listed(world: World, attempt_id: object) -> None:
    """As after a heartbeat that lists the attempt."""
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE attempts SET state = 'running' WHERE attempt_id = %s", (attempt_id,))


def test_a_result_delivered_twice_counts_once(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    grant = world.granted()
    first = world.finish(grant, artifacts={"params": FileRef("a", "a")})
    tokens = len(world.posted(Token))
    again = world.finish(grant, artifacts={"params": FileRef("b", "b")})
    assert first == again == AttemptSettled(grant.attempt_id)
    assert len(world.posted(Token)) == tokens
    assert world.sub_tasks(run_id)[0].artifacts == {"params": {"key": "a", "filename": "a"}}
    world.check_counters(run_id)


def test_a_result_delivered_twice_in_one_batch_counts_once(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    grant = world.granted()
    report = AttemptFinished(grant.attempt_id, "w1")
    assert [reply.message for reply in world.tell(report, report)] == [AttemptSettled(grant.attempt_id)] * 2
    assert len(world.posted(Token)) == 2
    world.check_counters(run_id)


def test_a_failure_delivered_twice_is_counted_once(world: World) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    for _ in range(3):
        assert isinstance(world.finish(grant, Cause.MODEL_ERROR), AttemptSettled)
    assert world.sub_tasks(run_id)[0].ended == {"model error": 1}


def test_a_worker_that_calls_an_attempt_lost_that_had_begun_is_believed_before_any_heartbeat(world: World) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    world.finish(grant, Cause.LOST, started_at=datetime.now(UTC))
    assert world.sub_tasks(run_id)[0].ended == {"worker lost": 1}


def test_a_late_result_of_a_lost_attempt_is_accepted_until_a_newer_one_is_granted(world: World) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    listed(world, grant.attempt_id)
    world.died()
    assert world.attempt(grant.attempt_id).state == "lost"
    assert isinstance(world.finish(grant), AttemptSettled)
    assert world.states(run_id)["prepare-input-generation-params"] == "COMPLETED"
    assert world.attempt(grant.attempt_id).state == "completed"
    world.check_counters(run_id)


def test_a_late_result_is_refused_once_a_newer_attempt_is_granted(world: World) -> None:
    run_id = world.started(INPUTS)
    older = world.granted()
    listed(world, older.attempt_id)
    world.died()
    world.end_back_off()
    newer = world.granted(worker="w2")
    refused = world.finish(older, artifacts={"params": FileRef("old", "old")})
    assert refused == AttemptRefused(older.attempt_id, "a newer attempt has been granted")
    world.finish(newer, worker="w2", artifacts={"params": FileRef("new", "new")})
    assert isinstance(world.finish(older), AttemptRefused)
    assert world.sub_tasks(run_id)[0].artifacts == {"params": {"key": "new", "filename": "new"}}
    assert world.attempt(older.attempt_id).state == "lost"


def test_a_late_result_of_a_cleanup_given_up_for_good_is_refused(world: World) -> None:
    run_id = world.started(BOTH)
    world.work_up_to("cleanup-input-generation")
    for _ in range(6):
        grant = world.granted()
        listed(world, grant.attempt_id)
        world.died()
        world.end_back_off()
    assert world.states(run_id)["cleanup-input-generation"] == "ERROR"
    assert world.finish(grant) == AttemptRefused(grant.attempt_id, "the sub-task is ERROR")
    world.work_off()
    assert world.status(run_id) == "RUN_COMPLETED"


def test_a_death_report_ends_the_leases_of_that_worker_at_once_and_of_no_other(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    mine, other = world.granted(worker="w1"), world.granted(worker="w2")
    listed(world, mine.attempt_id)
    world.died("w1")
    assert (world.attempt(mine.attempt_id).state, world.attempt(other.attempt_id).state) == ("lost", "granted")
    assert world.attempt(mine.attempt_id).message == "the worker died: exit status 137"
    assert world.states(run_id)["prepare-keys-file-0"] == "QUEUED"


@pytest.mark.parametrize(("cause", "retries"), COUNTED.items())
def test_a_cause_is_retried_as_often_as_its_budget_says(world: World, cause: Cause, retries: int) -> None:
    run_id = world.started(INPUTS)
    grant = world.fail_for_good(cause)
    row = world.sub_tasks(run_id)[0]
    assert (row.state, row.fence, row.retry_count) == ("ERROR", retries + 1, retries)
    assert row.ended == {cause.value: retries + 1}
    assert world.attempt(grant.attempt_id).message == "it broke"
    assert world.run_state(run_id) == "FAILED"


def test_uncounted_ends_are_retried_at_once_and_20_times_at_most(world: World) -> None:
    run_id = world.started(INPUTS)
    for _ in range(20):
        world.finish(world.granted(), Cause.DRAINED)
    row = world.sub_tasks(run_id)[0]
    assert (row.state, row.retry_count, row.fence) == ("ERROR", 0, 20)


def test_a_retry_waits_for_its_back_off_and_so_does_its_token(world: World) -> None:
    run_id = world.started(INPUTS)
    for doubled in (1, 2):
        world.finish(world.granted(), Cause.MODEL_ERROR)
        row, token = world.sub_tasks(run_id)[0], world.posted(Token)[-1]
        waits = row.not_before - row.queue_time
        assert timedelta(seconds=doubled / 2) <= waits <= timedelta(seconds=doubled)
        assert token.not_before == row.not_before
        world.end_back_off()


def test_a_sub_task_that_fails_for_good_ends_its_run_and_cancels_the_rest(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    world.work_up_to("collect-keys")
    world.fail_for_good()
    states = world.states(run_id)
    assert states.pop("collect-keys") == "ERROR"
    assert set(states.values()) == {"COMPLETED", "CANCELLED"}
    cancelled = [row for row in world.sub_tasks(run_id) if row.state == "CANCELLED"]
    assert [row.slug for row in cancelled] == ["write-input-files", "record-input-files", "cleanup-input-generation"]
    assert all(row.end_time for row in cancelled)
    assert (world.run_state(run_id), world.status(run_id)) == ("FAILED", "INPUTS_GENERATION_ERROR")
    world.check_counters(run_id)


@pytest.mark.parametrize(
    ("kind", "slug", "status", "column"),
    [
        (INPUTS, "collect-keys", "INPUTS_GENERATION_ERROR", "inputs_traceback_run_id"),
        (LOSSES, "generate-losses-output", "RUN_ERROR", "losses_traceback_run_id"),
        (BOTH, "write-input-files", "INPUTS_GENERATION_ERROR", "inputs_traceback_run_id"),
        (BOTH, "prepare-losses-generation-params", "RUN_ERROR", "losses_traceback_run_id"),
    ],
)
def test_a_traceback_file_exists_from_the_commit_of_the_error_status(
    world: World, kind: RunKind, slug: str, status: str, column: str
) -> None:
    run_id = world.started(kind)
    world.work_up_to(slug)
    world.fail_for_good()
    query = select(Analysis.status, getattr(Analysis, column), Analysis.task_finished)
    with world.engine.connect() as connection:
        row = connection.execute(query.where(Analysis.id == world.analysis_of(run_id))).one()
    assert row[:2] == (status, run_id)
    assert row.task_finished is not None


@pytest.mark.parametrize("kind", [INPUTS, BOTH])
def test_a_lookup_without_keys_is_a_status_of_its_own_and_not_retried(world: World, kind: RunKind) -> None:
    run_id = world.started(kind)
    world.work_up_to("write-input-files")
    world.finish(world.granted(), Cause.NO_KEYS)
    assert (world.status(run_id), world.run_state(run_id)) == ("INPUTS_GENERATION_NO_KEYS", "FAILED")


@pytest.mark.parametrize(("kind", "status"), [(INPUTS, "READY"), (LOSSES, "RUN_COMPLETED")])
def test_a_failed_cleanup_never_changes_the_outcome(world: World, kind: RunKind, status: str) -> None:
    run_id = world.started(kind)
    world.work_up_to("cleanup-input-generation" if kind == INPUTS else "cleanup-losses-generation")
    world.fail_for_good()
    assert (world.status(run_id), world.run_state(run_id)) == (status, "COMPLETED")
    assert list(world.states(run_id).values())[-1] == "ERROR"


def test_a_failed_cleanup_between_the_phases_lets_the_losses_go_on(world: World) -> None:
    run_id = world.started(BOTH)
    world.work_up_to("cleanup-input-generation")
    world.fail_for_good()
    world.work_off()
    assert world.status(run_id) == "RUN_COMPLETED"


def test_a_failing_run_waits_for_its_other_attempts_and_tells_their_workers(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    first, second = world.granted(), world.granted(worker="w2")
    world.finish(first, Cause.NO_KEYS)
    assert world.run_state(run_id) == "FAILING"
    assert [(row.exchange, row.mandatory) for row in world.posted(StopRun)] == [("lossline.control", False)]
    world.finish(second, Cause.CANCELLED, worker="w2")
    assert world.run_state(run_id) == "FAILED"
    assert world.states(run_id)["prepare-keys-file-1"] == "CANCELLED"


def test_a_retry_and_a_failure_for_good_in_one_batch_leave_no_sub_task_without_its_end(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    first, second = world.granted(), world.granted()
    world.tell(
        AttemptFinished(first.attempt_id, "w1", Cause.MODEL_ERROR),
        AttemptFinished(second.attempt_id, "w1", Cause.NO_KEYS),
    )
    ended = [row for row in world.sub_tasks(run_id) if row.state == "CANCELLED"]
    assert "prepare-keys-file-0" in {row.slug for row in ended}
    assert all(row.end_time for row in ended)
    world.check_counters(run_id)


def test_an_attempt_that_nobody_granted_is_refused(world: World) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM analyses WHERE id = %s", (world.analysis_of(run_id),))
    assert world.finish(grant) == AttemptRefused(grant.attempt_id, "this attempt is not known")


def test_what_a_worker_reports_is_written_down(world: World) -> None:
    world.started(INPUTS)
    grant = world.granted()
    world.finish(
        grant, Cause.OUT_OF_MEMORY, message="killed\0", exit_status=None, signal=9, peak_memory=2**40, log_key="l"
    )
    row = world.attempt(grant.attempt_id)
    assert (row.cause, row.state, row.signal) == ("out of memory", "out-of-memory", 9)
    assert (row.peak_memory, row.log_key, row.message) == (2**40, "l", "killed�")


def test_a_sub_task_that_ran_out_of_memory_takes_a_whole_worker_next_time(world: World) -> None:
    world.started(LOSSES, losses=3)
    world.work_up_to("generate-losses-chunk-0")
    grant = world.granted()
    assert grant.weight == "one"
    world.finish(grant, Cause.OUT_OF_MEMORY)
    world.end_back_off()
    again = world.granted()
    assert (again.sub_task_id, again.weight) == (grant.sub_task_id, "all")


def test_the_recorder_is_a_worker_like_any_other(world: World) -> None:
    run_id = world.started(INPUTS)
    world.work_up_to("record-input-files")
    assert world.claim() is None
    world.fail_for_good(Cause.STORAGE, RECORDER_QUEUE)
    assert world.status(run_id) == "INPUTS_GENERATION_ERROR"
