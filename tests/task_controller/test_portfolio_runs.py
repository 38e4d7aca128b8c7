"""Runs of portfolios go the way of all runs: planned, claimed, retried, failed, cancelled, lost."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from shared import names
from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.combined_runs import request_combination
from shared.database.execution import Outbox, Run
from shared.database.portfolio_runs import request_portfolio_run
from shared.database.resources import Analysis, Portfolio
from shared.messages.catalogue import AttemptRefused, CancelRun, KeepPartialFiles, StartRun
from tests.task_controller.world import World

pytestmark = pytest.mark.integration

QUEUE = names.INTERNAL_QUEUE
VALIDATE, EXPOSURE_RUN, TRANSFORM = RunKind.VALIDATE, RunKind.EXPOSURE_RUN, RunKind.EXPOSURE_TRANSFORM


def request(world: World, kind: RunKind) -> int:
    """Request a run of the portfolio as the API does; its id."""
    inputs = RunInputs({"location_file": FileRef("files/1.csv", "location.csv")})
    with Session(world.engine) as session:
        session.scalars(select(Portfolio).with_for_update(key_share=True)).one()
        run_id = request_portfolio_run(session, world.portfolio_id, kind, inputs, None)
        session.commit()
    return run_id


def started(world: World, kind: RunKind) -> int:
    """A planned run of the portfolio; its id."""
    run_id = request(world, kind)
    world.tell(StartRun(run_id))
    return run_id


def statuses(world: World) -> Mapping[str, Any]:
    """Of the portfolio: validation, exposure run, transformation."""
    columns = (Portfolio.validation_status, Portfolio.exposure_status, Portfolio.exposure_transform_status)
    with world.engine.connect() as connection:
        validation, exposure, transform = connection.execute(select(*columns)).one()
    return {"validation": validation, "exposure": exposure, "transform": transform}


def test_a_requested_run_is_started_for_clients_at_once(world: World) -> None:
    request(world, EXPOSURE_RUN)
    assert statuses(world) == {"validation": "NONE", "exposure": "STARTED", "transform": "NONE"}


def test_the_grant_names_the_portfolio_and_what_it_reads(world: World) -> None:
    run_id = started(world, VALIDATE)

    grant = world.granted(QUEUE)

    assert (grant.step, grant.analysis_id, grant.portfolio_id) == ("validate-exposure", None, world.portfolio_id)
    assert grant.key_prefix.startswith(f"portfolio-{world.portfolio_id}_validation-")
    assert grant.files == {"location_file": FileRef("files/1.csv", "location.csv")}
    world.check_counters(run_id)


def test_every_sub_task_is_done_and_the_run_is_completed(world: World) -> None:
    run_id = started(world, EXPOSURE_RUN)

    for queue in (QUEUE, RECORDER_QUEUE, QUEUE):
        world.finish(world.granted(queue))

    assert world.run_state(run_id) == "COMPLETED"
    world.check_counters(run_id)


def test_a_lost_worker_is_followed_by_another_attempt(world: World) -> None:
    run_id = started(world, VALIDATE)
    first = world.granted(QUEUE)

    world.died()
    world.end_back_off()

    assert world.granted(QUEUE, "w2").sub_task_id == first.sub_task_id
    assert (world.run_state(run_id), statuses(world)["validation"]) == ("ACTIVE", "STARTED")


@pytest.mark.parametrize(
    ("kind", "failed"),
    [(VALIDATE, {"validation"}), (EXPOSURE_RUN, {"exposure"}), (TRANSFORM, {"transform", "validation"})],
)
def test_what_fails_for_good_leaves_an_error_and_its_reason(world: World, kind: RunKind, failed: set[str]) -> None:
    run_id = started(world, kind)

    world.fail_for_good(queue=QUEUE)

    assert world.run_state(run_id) == "FAILED"
    assert {name for name, status in statuses(world).items() if status == "ERROR"} == failed
    assert len(world.posted(KeepPartialFiles)) == 1


def test_a_new_request_cancels_the_run_before_it_and_is_what_clients_see(world: World) -> None:
    before = started(world, VALIDATE)
    grant = world.granted(QUEUE)

    after = started(world, VALIDATE)
    world.tell(CancelRun(before))
    world.finish(grant, Cause.MODEL_ERROR)

    assert (world.run_state(before), world.run_state(after)) == ("CANCELLED", "ACTIVE")
    assert statuses(world)["validation"] == "STARTED"


def test_a_run_that_has_been_followed_by_another_changes_no_status(world: World) -> None:
    before = started(world, VALIDATE)
    grant = world.granted(QUEUE)
    started(world, VALIDATE)
    with world.engine.begin() as connection:  # as if the cancel had come too late for a run that was failing
        connection.execute(update(Run).where(Run.id == before).values(state="ACTIVE"))

    for _ in range(world.settings.policy.retries[Cause.MODEL_ERROR] + 1):
        world.finish(grant, Cause.MODEL_ERROR)
        world.end_back_off()
        if world.run_state(before) == "FAILED":
            break
        grant = world.granted(QUEUE)

    assert (world.run_state(before), statuses(world)["validation"]) == ("FAILED", "STARTED")


def test_a_validation_beside_a_transformation_cancels_only_earlier_validations(world: World) -> None:
    transform = started(world, TRANSFORM)
    validation = started(world, VALIDATE)

    world.fail_for_good(queue=QUEUE)  # the transformation, which was requested first

    assert world.run_state(transform) == "FAILED"
    assert world.run_state(validation) == "ACTIVE"
    assert statuses(world) == {"validation": "STARTED", "exposure": "NONE", "transform": "ERROR"}


def test_two_statuses_of_a_portfolio_are_under_way_side_by_side(world: World) -> None:
    first, second = started(world, VALIDATE), started(world, EXPOSURE_RUN)
    assert {world.run_state(first), world.run_state(second)} == {"ACTIVE"}
    assert world.granted(QUEUE).run_id == first
    assert world.granted(QUEUE).run_id == second


def test_attempts_of_a_deleted_portfolio_are_refused(world: World) -> None:
    started(world, VALIDATE)
    grant = world.granted(QUEUE)
    with world.engine.begin() as connection:
        connection.execute(delete(Portfolio))

    assert isinstance(world.finish(grant), AttemptRefused)


def test_runs_of_analyses_and_portfolios_are_handled_in_one_transaction(world: World) -> None:
    of_portfolio, of_analysis = request(world, VALIDATE), world.request(world.analysis(), RunKind.GENERATE_INPUTS)

    world.tell(StartRun(of_portfolio), StartRun(of_analysis))

    assert {world.run_state(of_portfolio), world.run_state(of_analysis)} == {"ACTIVE"}


def test_a_start_that_nobody_heard_of_is_planned_by_the_next_one(world: World) -> None:
    run_id = request(world, VALIDATE)
    with world.engine.begin() as connection:
        connection.execute(delete(Outbox))

    world.tell(StartRun(run_id), StartRun(run_id))

    assert [row.slug for row in world.sub_tasks(run_id)] == [
        "validate-exposure",
        "record-validation",
        "cleanup-validation",
    ]


@pytest.mark.parametrize(("fails", "status"), [(False, "RUN_COMPLETED"), (True, "RUN_ERROR")])
def test_a_combination_ends_the_analysis_that_it_belongs_to(world: World, fails: bool, status: str) -> None:
    with Session(world.engine) as session:
        analysis = Analysis(name="both", portfolio_id=world.portfolio_id)
        request_combination(session, analysis, RunInputs())
        run_id = analysis.current_run_id
        session.commit()
    assert run_id is not None
    assert world.status(run_id) == "RUN_STARTED"

    world.tell(StartRun(run_id))
    if fails:
        world.fail_for_good(queue=QUEUE)
    else:
        world.finish(world.granted(QUEUE))
        world.finish(world.granted(RECORDER_QUEUE))

    assert world.status(run_id) == status
