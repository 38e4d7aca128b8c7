"""The relay: every row is published as it is written, and a row published twice does no harm."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.task_controller import relay as relay_module
from services.task_controller.relay import Relay
from shared import names
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import OutgoingMessage
from shared.broker.topology import BindingSpec, QueueSpec, Topology
from shared.core.states import RunKind
from shared.database.execution import Outbox
from shared.database.outbox import Posting, post
from shared.messages.catalogue import StartRun, StopRun, Token
from shared.messages.envelope import encode
from shared.topology import PLATFORM, work_queue
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.waiting import eventually
from tests.task_controller.wire import Wrapped, bodies_in, running
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration

TOKEN = Token(MODEL_QUEUE)


def write(world: World, *postings: Posting) -> None:
    """Commit messages to the outbox."""
    with world.engine.begin() as connection:
        post(connection, postings)


def unsent(world: World) -> int:
    """How many rows wait."""
    return sum(row.sent_at is None for row in world.posted())


def test_a_row_is_published_exactly_as_it_is_written_and_marked_sent(world: World, broker: MemoryBroker) -> None:
    broker.declare(Topology(queues=(work_queue(MODEL_QUEUE),)))
    write(world, Posting(TOKEN, MODEL_QUEUE, priority=7, copies=3))
    assert Relay(world.engine, broker).relay_once() == 1
    taken = broker.consume(MODEL_QUEUE, prefetch=10).take(10, timeout=1)
    assert [(delivery.body, delivery.priority) for delivery in taken] == [(encode(TOKEN), 7)] * 3
    assert unsent(world) == 0
    assert Relay(world.engine, broker).relay_once() == 0


def test_rows_are_published_in_the_order_of_their_commit(
    world: World, broker: MemoryBroker, rabbit: MemoryServer
) -> None:
    postings = [Posting(StartRun(number), names.TASK_CONTROLLER_QUEUE) for number in range(5)]
    write(world, *postings)
    Relay(world.engine, broker).relay_once()
    taken = broker.consume(names.TASK_CONTROLLER_QUEUE, prefetch=10).take(10, timeout=1)
    assert [delivery.body for delivery in taken] == [encode(StartRun(number)) for number in range(5)]


def test_a_control_message_reaches_every_worker_and_is_sent_even_if_there_is_none(
    world: World, broker: MemoryBroker
) -> None:
    stop = Posting(StopRun("uuid"), "", exchange=names.CONTROL_EXCHANGE, mandatory=False)
    write(world, stop)
    Relay(world.engine, broker).relay_once()
    assert unsent(world) == 0
    queues = tuple(QueueSpec(f"worker.{n}") for n in range(2))
    bindings = tuple(BindingSpec(queue.name, names.CONTROL_EXCHANGE) for queue in queues)
    broker.declare(Topology(PLATFORM.exchanges, queues, bindings))
    write(world, stop)
    Relay(world.engine, broker).relay_once()
    assert {depth.messages for depth in broker.queue_depths(["worker.0", "worker.1"]).values()} == {1}


def test_a_row_waits_for_its_time(world: World, broker: MemoryBroker) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    write(world, Posting(TOKEN, MODEL_QUEUE, not_before=later))
    assert Relay(world.engine, broker).relay_once() == 0
    world.end_back_off()
    assert Relay(world.engine, broker).relay_once() == 1


def test_a_missing_queue_of_tokens_is_declared_before_any_worker_has_connected(
    world: World, broker: MemoryBroker, rabbit: MemoryServer
) -> None:
    write(world, Posting(TOKEN, MODEL_QUEUE, copies=2))
    Relay(world.engine, broker).relay_once()
    assert unsent(world) == 0
    broker.declare(Topology(queues=(work_queue(MODEL_QUEUE),)))  # refused if it had other properties
    assert bodies_in(rabbit, MODEL_QUEUE) == [encode(TOKEN)] * 2


@pytest.mark.parametrize("queue", [queue.name for queue in PLATFORM.queues])
def test_a_wiped_queue_of_the_platform_is_declared_with_its_own_properties(
    world: World, broker: MemoryBroker, rabbit: MemoryServer, queue: str
) -> None:
    rabbit.delete_queue(queue)
    write(world, Posting(StartRun(1), queue))
    Relay(world.engine, broker).relay_once()
    assert unsent(world) == 0
    broker.declare(PLATFORM)


def test_a_token_doubled_by_a_relay_that_dies_before_it_marks_is_harmless(
    world: World, broker: MemoryBroker, rabbit: MemoryServer
) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    broker.declare(Topology(queues=(work_queue(MODEL_QUEUE),)))

    def publish_and_die(messages: Sequence[OutgoingMessage]) -> Any:
        broker.publish(messages)
        raise BrokerUnavailable

    with pytest.raises(BrokerUnavailable):
        Relay(world.engine, Wrapped(broker, publish_and_die)).relay_once()  # type: ignore[arg-type]
    Relay(world.engine, broker).relay_once()
    tokens = [body for body in bodies_in(rabbit, MODEL_QUEUE) if body == encode(TOKEN)]
    assert len(tokens) == 2
    assert [world.claim() is not None for _ in tokens] == [True, False]
    assert world.run_state(run_id) == "ACTIVE"


def test_two_relays_never_take_the_same_row(world: World, broker: MemoryBroker) -> None:
    write(world, Posting(TOKEN, MODEL_QUEUE))
    with world.engine.begin() as connection:
        connection.execute(select(Outbox.id).with_for_update())
        assert Relay(world.engine, broker).relay_once() == 0
    assert Relay(world.engine, broker).relay_once() == 1


def test_the_relay_survives_an_outage_of_the_broker(world: World, broker: MemoryBroker, rabbit: MemoryServer) -> None:
    rabbit.available = False
    write(world, Posting(TOKEN, MODEL_QUEUE))
    with running(relay=Relay(world.engine, broker).run):
        with pytest.raises(BrokerUnavailable):
            broker.queue_depths([MODEL_QUEUE])
        assert unsent(world) == 1
        rabbit.available = True
        eventually(lambda: unsent(world) == 0, "the row is sent")


def test_a_commit_wakes_the_relay(world: World, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "_LOOK_EVERY", 600.0)
    with running(relay=Relay(world.engine, broker).run) as stopping:
        write(world, Posting(TOKEN, MODEL_QUEUE))
        eventually(lambda: unsent(world) == 0, "the first row is sent")
        write(world, Posting(TOKEN, MODEL_QUEUE))
        eventually(lambda: unsent(world) == 0, "the second row is sent")
        stopping.set()
        write(world, Posting(TOKEN, MODEL_QUEUE))
