"""Cancel is a row: what it means for claims, for attempts, for the run, and for the next run."""

import pytest
from sqlalchemy import select

from shared.core.retries import Cause
from shared.core.states import IllegalTransition, RunKind
from shared.database.resources import Analysis
from shared.messages.catalogue import AttemptFinished, AttemptRefused, AttemptSettled, CancelRun, StartRun, StopRun
from tests.task_controller.world import World, cancel_is_heard

pytestmark = pytest.mark.integration

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN


@pytest.mark.parametrize(("kind", "status"), [(INPUTS, "INPUTS_GENERATION_CANCELLED"), (LOSSES, "RUN_CANCELLED")])
def test_the_commit_of_a_cancel_is_what_clients_see(world: World, kind: RunKind, status: str) -> None:
    run_id = world.started(kind)
    world.granted()
    world.cancel(run_id)
    query = select(Analysis.status, Analysis.run_mode, Analysis.task_finished)
    with world.engine.connect() as connection:
        row = connection.execute(query.where(Analysis.id == world.analysis_of(run_id))).one()
    assert row[:2] == (status, None)
    assert row.task_finished is not None
    assert world.run_state(run_id) == "CANCELLING"


def test_a_run_is_cancelling_until_every_attempt_is_confirmed(world: World) -> None:
    run_id = world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    first, second = world.granted(), world.granted()
    cancel_is_heard(world, run_id)
    states = world.states(run_id)
    assert [states[f"prepare-keys-file-{i}"] for i in range(3)] == ["STARTED", "STARTED", "CANCELLED"]
    assert isinstance(world.finish(first, Cause.CANCELLED), AttemptSettled)
    assert world.run_state(run_id) == "CANCELLING"
    assert isinstance(world.finish(second), AttemptSettled)
    assert world.run_state(run_id) == "CANCELLED"
    assert world.states(run_id)["prepare-keys-file-1"] == "CANCELLED"
    world.check_counters(run_id)


def test_workers_are_told_of_a_cancel_over_the_control_exchange(world: World) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    cancel_is_heard(world, run_id)
    (row,) = world.posted(StopRun)
    assert (row.exchange, row.routing_key, row.mandatory) == ("lossline.control", "", False)
    assert grant.run_uuid.encode() in row.body


def test_a_cancel_heard_twice_changes_nothing_more(world: World) -> None:
    run_id = world.started(INPUTS)
    cancel_is_heard(world, run_id)
    before = world.sub_tasks(run_id)
    world.tell(CancelRun(run_id), CancelRun(run_id))
    assert (world.sub_tasks(run_id), world.run_state(run_id)) == (before, "CANCELLED")


def test_a_requested_run_is_cancelled_before_it_is_planned(world: World) -> None:
    run_id = world.request(world.analysis(), INPUTS)
    cancel_is_heard(world, run_id)
    assert world.run_state(run_id) == "CANCELLED"
    world.tell(StartRun(run_id))
    assert (world.run_state(run_id), world.sub_tasks(run_id)) == ("CANCELLED", [])
    assert world.status(run_id) == "INPUTS_GENERATION_CANCELLED"


def test_the_start_and_the_cancel_of_a_run_may_come_together(world: World) -> None:
    run_id = world.request(world.analysis(), INPUTS)
    world.cancel(run_id)
    world.tell(StartRun(run_id), CancelRun(run_id))
    assert (world.run_state(run_id), world.sub_tasks(run_id)) == ("CANCELLED", [])


@pytest.mark.parametrize("cause", [None, Cause.LOST, Cause.DRAINED, Cause.MODEL_ERROR, Cause.CANCELLED])
def test_whatever_a_cancelled_attempt_reports_confirms_the_cancel(world: World, cause: Cause | None) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    cancel_is_heard(world, run_id)
    world.tell(AttemptFinished(grant.attempt_id, "w1", cause))
    assert world.run_state(run_id) == "CANCELLED"
    assert world.attempt(grant.attempt_id).state == "cancelled"
    assert world.sub_tasks(run_id)[0].artifacts is None


def test_a_cancelled_analysis_runs_again_at_once_and_the_old_run_cannot_touch_it(world: World) -> None:
    old = world.started(INPUTS)
    held = world.granted()
    world.cancel(old)
    new = world.request(world.analysis_of(old), INPUTS)
    world.tell(StartRun(new), CancelRun(old))
    assert world.status(new) == "INPUTS_GENERATION_QUEUED"
    fresh = world.granted()
    assert fresh.run_id == new
    world.finish(held, Cause.MODEL_ERROR)
    assert world.run_state(old) == "CANCELLED"
    assert world.status(new) == "INPUTS_GENERATION_STARTED"
    world.finish(fresh)
    world.work_off()
    assert (world.status(new), world.run_state(new)) == ("READY", "COMPLETED")


def test_a_late_result_of_a_cancelled_run_is_refused(world: World) -> None:
    run_id = world.started(INPUTS)
    grant = world.granted()
    world.died()  # never listed: undelivered, and still acceptable
    cancel_is_heard(world, run_id)
    assert world.run_state(run_id) == "CANCELLED"
    assert world.finish(grant) == AttemptRefused(grant.attempt_id, "the run is CANCELLED")


def test_a_generate_and_run_can_be_cancelled_in_its_moment_of_ready(world: World) -> None:
    run_id = world.started(BOTH)
    while world.status(run_id) != "READY":
        world.work_off(at_most=1)
    cancel_is_heard(world, run_id)
    assert (world.status(run_id), world.run_state(run_id)) == ("RUN_CANCELLED", "CANCELLED")


@pytest.mark.parametrize("kind", [INPUTS, LOSSES, BOTH])
def test_what_is_neither_queued_nor_running_cannot_be_cancelled(world: World, kind: RunKind) -> None:
    run_id = world.started(kind)
    world.work_off()
    with pytest.raises(IllegalTransition):
        world.cancel(run_id)
    assert world.status(run_id) in ("READY", "RUN_COMPLETED")


def test_a_cancel_after_a_failure_leaves_the_failure(world: World) -> None:
    run_id = world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    first, second = world.granted(), world.granted()
    world.finish(first, Cause.NO_KEYS)
    with pytest.raises(IllegalTransition):
        world.cancel(run_id)
    world.finish(second, Cause.CANCELLED)
    assert world.run_state(run_id) == "FAILED"
