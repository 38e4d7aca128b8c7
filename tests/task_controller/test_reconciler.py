"""The reconciler: what was lost with the broker is made up for, and nothing is computed twice."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from services.task_controller.reconciler import Reconciler
from services.task_controller.relay import Relay
from services.task_controller.settings import Settings
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Outbox, Run, StageRow, SubTask
from shared.messages.catalogue import Token
from shared.topology import PLATFORM
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.waiting import eventually
from tests.task_controller.wire import bodies_in, running
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration

INPUTS = RunKind.GENERATE_INPUTS


@pytest.fixture
def reconciler(world: World, broker: MemoryBroker, settings: Settings) -> Reconciler:
    """A reconciler, driven by the tests."""
    return Reconciler(world.engine, broker, settings)


def relayed(world: World, broker: MemoryBroker) -> None:
    """Publish what the outbox holds."""
    while Relay(world.engine, broker).relay_once():
        continue


def depth(broker: MemoryBroker, queue: str = MODEL_QUEUE) -> int:
    """How many tokens wait."""
    depths = broker.queue_depths([queue])
    return depths[queue].messages if queue in depths else 0


def test_a_run_whose_start_was_lost_is_planned(world: World, reconciler: Reconciler) -> None:
    run_id = world.request(world.analysis(), INPUTS)
    reconciler.look()
    assert world.run_state(run_id) == "ACTIVE"
    assert world.claim() is not None


def test_a_run_whose_cancel_was_lost_is_ended(world: World, reconciler: Reconciler) -> None:
    waiting, held = world.started(INPUTS), world.started(INPUTS)
    world.set_priority(held, 9)
    grant = world.granted()
    world.cancel(waiting)
    world.cancel(held)
    reconciler.look()
    assert (world.run_state(waiting), world.run_state(held)) == ("CANCELLED", "CANCELLING")
    world.finish(grant, Cause.CANCELLED)
    assert world.run_state(held) == "CANCELLED"


def test_what_should_be_ready_is_derived_anew(world: World, reconciler: Reconciler) -> None:
    run_id = world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    with world.engine.begin() as connection:  # as if the stage had never been queued
        connection.execute(update(SubTask).where(SubTask.stage == 2).values(state="PENDING", queue_time=None))
        connection.execute(update(StageRow).where(StageRow.position == 2).values(pending=3, queued=0))
    reconciler.look()
    assert Counter(world.states(run_id).values()) == {"COMPLETED": 2, "QUEUED": 3, "PENDING": 4}
    world.check_counters(run_id)


def test_what_should_be_ended_is_derived_anew(world: World, reconciler: Reconciler) -> None:
    run_id = world.started(INPUTS)
    world.work_off()
    with world.engine.begin() as connection:  # as if the end had never been noticed
        connection.execute(update(Run).values(state="ACTIVE", ended_at=None))
    reconciler.look()
    assert world.run_state(run_id) == "COMPLETED"


def test_a_look_at_a_run_in_which_nothing_was_lost_changes_nothing(world: World, reconciler: Reconciler) -> None:
    run_id = world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    world.granted()
    before = (world.sub_tasks(run_id), len(world.posted(Token)))
    for _ in range(3):
        reconciler.look()
    assert (world.sub_tasks(run_id), len(world.posted(Token)) - before[1]) == (
        before[0],
        1,
    )  # the queue was never there


def test_a_wiped_broker_in_mid_run_loses_nothing_and_nothing_is_computed_again(
    world: World, broker: MemoryBroker, rabbit: MemoryServer, reconciler: Reconciler
) -> None:
    run_id = world.started(INPUTS, lookups=5)
    world.work_up_to("prepare-keys-file-0")
    world.finish(world.granted())
    held = world.granted()
    relayed(world, broker)
    for queue in (MODEL_QUEUE, RECORDER_QUEUE):
        rabbit.delete_queue(queue)
    broker.declare(PLATFORM)
    assert depth(broker) == 0
    reconciler.look()
    reconciler.look()
    relayed(world, broker)
    assert depth(broker) == 3
    world.finish(held)
    while True:  # a worker that claims only when it has a token
        tokens = [queue for queue in (MODEL_QUEUE, RECORDER_QUEUE) for _ in bodies_in(rabbit, queue)]
        if not tokens:
            break
        for queue in tokens:
            world.finish(world.granted(queue))
        relayed(world, broker)
    assert world.run_state(run_id) == "COMPLETED"
    assert {row.fence for row in world.sub_tasks(run_id)} == {1}


def test_queues_that_hold_their_tokens_are_not_topped_up(
    world: World, broker: MemoryBroker, reconciler: Reconciler
) -> None:
    world.started(INPUTS)
    relayed(world, broker)
    for _ in range(3):
        reconciler.look()
    relayed(world, broker)
    assert depth(broker) == 1


def test_one_look_is_not_enough_to_top_up(world: World, broker: MemoryBroker, reconciler: Reconciler) -> None:
    world.started(INPUTS)
    posted = len(world.posted(Token))
    reconciler.look()
    assert len(world.posted(Token)) == posted
    relayed(world, broker)
    reconciler.look()
    assert len(world.posted(Token)) == posted


def test_work_that_may_lack_tokens_is_looked_at_again_soon(
    world: World, broker: MemoryBroker, settings: Settings
) -> None:
    patient = Reconciler(world.engine, broker, replace(settings, reconcile_every=60))
    assert patient.pause() == 60
    assert patient.pause(failed=True) == 1
    world.started(INPUTS)
    patient.look()
    assert patient.pause() == 1
    patient.look()
    assert patient.pause() == 60


def test_only_what_is_missing_is_topped_up(
    world: World, broker: MemoryBroker, rabbit: MemoryServer, reconciler: Reconciler
) -> None:
    world.started(INPUTS, lookups=5)
    world.work_up_to("prepare-keys-file-0")
    relayed(world, broker)
    bodies_in(rabbit, MODEL_QUEUE)
    world.granted()
    with world.engine.begin() as connection:
        connection.execute(update(Outbox).where(Outbox.copies == 5).values(sent_at=None, copies=1))
    relayed(world, broker)
    for _ in range(2):
        reconciler.look()
    relayed(world, broker)
    assert depth(broker) == 4


def test_what_waits_for_its_back_off_needs_no_token_yet(
    world: World, broker: MemoryBroker, reconciler: Reconciler
) -> None:
    world.started(INPUTS)
    with world.engine.begin() as connection:
        connection.execute(update(SubTask).values(not_before=func.now() + timedelta(hours=1)))
        connection.execute(update(Outbox).values(sent_at=func.now()))
    posted = len(world.posted())
    for _ in range(3):
        reconciler.look()
    assert len(world.posted()) == posted


def test_inert_tokens_die_by_the_claims_they_lead_to(
    world: World, broker: MemoryBroker, rabbit: MemoryServer, reconciler: Reconciler
) -> None:
    run_id = world.started(INPUTS)
    relayed(world, broker)
    world.cancel(run_id)
    for _ in range(2):
        reconciler.look()
    relayed(world, broker)
    assert [world.claim() for _ in bodies_in(rabbit, MODEL_QUEUE)] == [None]
    assert depth(broker) == 0


def test_a_run_that_nobody_understands_keeps_no_other_waiting(world: World, reconciler: Reconciler) -> None:
    strange, other = world.started(INPUTS), world.request(world.analysis(), INPUTS)
    with world.engine.begin() as connection:
        of_strange = StageRow.run_id == strange
        connection.execute(update(StageRow).where(of_strange).values(phase="sideways", queued=0, pending=1))
    reconciler.look()
    assert world.run_state(other) == "ACTIVE"


def test_a_replica_leaves_the_look_to_the_one_that_is_at_it(world: World, reconciler: Reconciler) -> None:
    run_id = world.request(world.analysis(), INPUTS)
    with world.engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7145002)"))
        reconciler.look()
    assert world.run_state(run_id) == "REQUESTED"


def test_rows_sent_long_ago_are_removed_and_unsent_ones_never(world: World, reconciler: Reconciler) -> None:
    world.started(INPUTS)
    world.finish(world.granted())
    with world.engine.begin() as connection:
        first = connection.execute(select(func.min(Outbox.id))).scalar_one()
        old = func.now() - timedelta(hours=2)
        connection.execute(update(Outbox).where(Outbox.id == first).values(sent_at=old))
        connection.execute(update(Outbox).values(created=old))
    before = [row.id for row in world.posted()]
    reconciler.look()
    assert [row.id for row in world.posted()] == before[1:]


def test_the_reconciler_survives_an_outage_of_the_broker(
    world: World, rabbit: MemoryServer, reconciler: Reconciler
) -> None:
    rabbit.available = False
    with running(reconciler=reconciler.run):
        first = world.request(world.analysis(), INPUTS)
        eventually(lambda: world.run_state(first) == "ACTIVE", "a run is planned although the broker is away")
        rabbit.available = True
        posted = len(world.posted(Token))
        eventually(lambda: len(world.posted(Token)) > posted, "the queue is topped up once it is back")
