"""The intake: batches, answers, and messages that nobody can handle."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import event

from services.task_controller.intake import Intake
from services.task_controller.metrics import Counted
from services.task_controller.settings import Settings
from shared import names
from shared.codec import to_json
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptSettled,
    ClaimAnswered,
    ClaimWork,
    StartRun,
    Token,
)
from shared.messages.envelope import encode
from shared.metrics import exposition
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.fakes.database import DatabaseServer
from tests.task_controller.waiting import eventually
from tests.task_controller.wire import Talker, bodies_in, running
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration


@pytest.fixture
def intake(world: World, broker: MemoryBroker, settings: Settings) -> Iterator[Intake]:
    """An intake that runs."""
    made = Intake(world.engine, broker, settings)
    with running(intake=made.run):
        yield made


@pytest.fixture
def talker(rabbit: MemoryServer) -> Iterator[Talker]:
    """A worker."""
    made = Talker(rabbit)
    yield made
    made.broker.close()


def claim_of(talker: Talker) -> ClaimWork:
    """A claim of the worker."""
    return ClaimWork(uuid4(), talker.worker_id, MODEL_QUEUE, 0)


def test_claims_and_results_are_answered_on_the_workers_own_queue(world: World, talker: Talker, intake: Intake) -> None:
    world.started(RunKind.GENERATE_INPUTS)
    claim = claim_of(talker)
    talker.say(claim)
    answer = talker.hears()
    assert isinstance(answer, ClaimAnswered)
    assert answer.claim_id == claim.claim_id
    assert answer.grant is not None
    talker.say(AttemptFinished(answer.grant.attempt_id, talker.worker_id))
    assert talker.hears() == AttemptSettled(answer.grant.attempt_id)
    assert world.state_of("pre-analysis-hook") == "QUEUED"


def test_what_attempts_ended_of_is_counted_once_it_is_taken(
    world: World, broker: MemoryBroker, talker: Talker, settings: Settings
) -> None:
    world.started(RunKind.GENERATE_INPUTS)
    grant, counted = world.granted(), Counted()
    with running(intake=Intake(world.engine, broker, settings, counted).run):
        failed = AttemptFinished(grant.attempt_id, talker.worker_id, Cause.MODEL_ERROR)
        talker.say(AttemptFinished(uuid4(), talker.worker_id), failed)
        eventually(lambda: "cause=" in exposition([counted.ended]), "it is counted")
    lines = [line for line in exposition(counted.figures).splitlines() if "cause=" in line]
    assert lines == [
        'lossline_attempts_ended_total{cause="model error"} 1.0',
        'lossline_sub_task_retries_total{cause="model error"} 1.0',
    ]


def test_messages_that_wait_together_are_committed_together(
    world: World, rabbit: MemoryServer, broker: MemoryBroker, talker: Talker, settings: Settings
) -> None:
    runs = [world.request(world.analysis(), RunKind.GENERATE_INPUTS) for _ in range(20)]
    made = Intake(world.engine, broker, settings)
    talker.say(*[StartRun(run_id) for run_id in runs])
    commits: list[object] = []
    event.listen(world.engine, "commit", lambda connection: commits.append(connection))
    with running(intake=made.run):
        eventually(lambda: commits, "it is committed")
    assert len(commits) == 1
    assert {world.run_state(run_id) for run_id in runs} == {"ACTIVE"}


def test_a_message_that_cannot_be_read_is_parked_with_the_reason_and_never_goes_round(
    world: World, rabbit: MemoryServer, broker: MemoryBroker, talker: Talker, intake: Intake
) -> None:
    talker.say(b"\xff not a message", claim_of(talker))
    assert isinstance(talker.hears(), ClaimAnswered)
    parked = broker.consume(names.PARKED_QUEUE, prefetch=10).take(10, timeout=5)
    assert [delivery.body for delivery in parked] == [b"\xff not a message"]
    assert parked[0].headers["queue"] == names.TASK_CONTROLLER_QUEUE
    assert parked[0].headers["reason"].startswith("not JSON")


def test_a_message_for_somebody_else_is_parked(
    world: World, rabbit: MemoryServer, talker: Talker, intake: Intake
) -> None:
    talker.say(Token(MODEL_QUEUE), claim_of(talker))
    assert isinstance(talker.hears(), ClaimAnswered)
    assert bodies_in(rabbit, names.PARKED_QUEUE) == [encode(Token(MODEL_QUEUE))]


def test_a_result_that_cannot_be_read_is_parked_refused_and_counted(
    world: World, rabbit: MemoryServer, talker: Talker, intake: Intake
) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    for number in range(1, 4):
        grant = world.granted()
        body = {"attempt_id": str(grant.attempt_id), "worker_id": "w1", "artifacts": {"params": "not a reference"}}
        broken = to_json({"type": "AttemptFinished", "version": 1, "body": body})
        talker.say(broken)
        assert talker.hears() == AttemptSettled(grant.attempt_id)
        assert bodies_in(rabbit, names.PARKED_QUEUE) == [broken]
        assert world.sub_tasks(run_id)[0].ended == {"unreadable result": number}
        assert world.attempt(grant.attempt_id).message.startswith("the result of the worker cannot be read")
        world.end_back_off()
    assert world.run_state(run_id) == "FAILED"


def test_a_result_that_cannot_be_kept_is_parked_and_counted_and_the_others_of_its_batch_are_kept(
    world: World, rabbit: MemoryServer, broker: MemoryBroker, talker: Talker, settings: Settings
) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    first, second = world.granted(), world.granted()
    bad = AttemptFinished(first.attempt_id, "w1", log_key="x" * 2000)
    talker.say(bad, AttemptFinished(second.attempt_id, "w1"))
    with running(intake=Intake(world.engine, broker, settings).run):
        answers = [talker.hears(), talker.hears()]
    assert answers == [AttemptSettled(first.attempt_id), AttemptSettled(second.attempt_id)]
    states = world.states(run_id)
    assert (states["prepare-keys-file-0"], states["prepare-keys-file-1"]) == ("QUEUED", "COMPLETED")
    assert world.attempt(first.attempt_id).cause == "unreadable result"
    assert bodies_in(rabbit, names.PARKED_QUEUE) == [encode(bad)]


def test_a_command_that_cannot_be_handled_is_parked_and_the_next_is_answered(
    world: World, rabbit: MemoryServer, talker: Talker, intake: Intake
) -> None:
    world.started(RunKind.GENERATE_INPUTS)
    bad = ClaimWork(uuid4(), "w" * 200, MODEL_QUEUE, 0)
    talker.say(bad)
    eventually(lambda: bodies_in(rabbit, names.PARKED_QUEUE) == [encode(bad)], "it is parked")
    talker.say(claim_of(talker))
    answer = talker.hears()
    assert isinstance(answer, ClaimAnswered)
    assert answer.grant is not None


def test_messages_outlive_a_restart_of_the_database(
    server: DatabaseServer, world: World, talker: Talker, intake: Intake
) -> None:
    run_id = world.request(world.analysis(), RunKind.GENERATE_INPUTS)
    server.server.kill()
    try:
        talker.say(StartRun(run_id))
    finally:
        server.server.restart()
    eventually(lambda: world.run_state(run_id) == "ACTIVE", "the run is planned")
    talker.say(claim_of(talker))
    answer = talker.hears()
    assert isinstance(answer, ClaimAnswered)
    assert answer.grant is not None
