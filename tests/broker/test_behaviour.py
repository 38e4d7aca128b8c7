"""What every implementation of the broker port does: two in memory, pika, aio-pika."""

from __future__ import annotations

import asyncio

import pytest

from shared.broker.errors import BrokerError, QueueLocked, TopologyRefused
from shared.broker.port import Outcome, OutgoingMessage, QueueDepth
from shared.broker.topology import BindingSpec, ExchangeKind, ExchangeSpec, QueueSpec, Topology
from tests.broker.conftest import Connect
from tests.broker.drivers import bodies, depth_becomes, take_all

SHORT = 0.3
"""Seconds in which something that must not come would have come."""


def one_queue(name: str) -> Topology:
    return Topology(queues=(QueueSpec(name, max_priority=10),))


def message(queue: str, body: bytes = b"hello", priority: int = 0) -> OutgoingMessage:
    return OutgoingMessage("", queue, body, priority=priority)


async def test_a_message_arrives_as_it_was_sent(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    sent = OutgoingMessage(
        "", queue_name, b"\x00body", 3, {"kind": "StartRun"}, correlation_id="c-1", reply_to="answers", message_id="m-1"
    )

    assert await client.publish(sent) == [Outcome.CONFIRMED]
    received = await (await client.consume(queue_name)).next()

    assert received is not None
    assert (received.body, received.routing_key, received.headers) == (b"\x00body", queue_name, {"kind": "StartRun"})
    assert (received.priority, received.message_id, received.redelivered) == (3, "m-1", False)
    assert (received.correlation_id, received.reply_to) == ("c-1", "answers")


async def test_higher_priorities_arrive_first_and_equals_in_order(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(
        *(message(queue_name, b"%d-%d" % (priority, n), priority) for n in (1, 2) for priority in range(11))
    )

    consumer = await client.consume(queue_name, prefetch=1)
    arrived = []
    for _ in range(22):
        [delivery] = await take_all(consumer, 1)
        arrived.append(delivery.body)
        await consumer.ack(delivery)

    assert arrived == [b"%d-%d" % (priority, n) for priority in range(10, -1, -1) for n in (1, 2)]


async def test_no_more_than_the_prefetch_is_delivered_without_an_ack(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(*(message(queue_name, b"%d" % n) for n in range(5)))

    consumer = await client.consume(queue_name, prefetch=2)
    first = await take_all(consumer, 2)

    assert await consumer.next(SHORT) is None
    await consumer.ack(*first)
    assert bodies(await take_all(consumer, 2)) == [b"2", b"3"]


async def test_a_requeued_message_comes_again_and_says_so(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(message(queue_name))
    consumer = await client.consume(queue_name, prefetch=1)

    [first] = await take_all(consumer, 1)
    await consumer.nack(first)
    [second] = await take_all(consumer, 1)

    assert (first.redelivered, second.redelivered) == (False, True)
    assert second.message_id == first.message_id


async def test_a_message_rejected_without_requeue_is_gone(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(message(queue_name))
    consumer = await client.consume(queue_name)

    await consumer.nack(*await take_all(consumer, 1), requeue=False)

    assert await consumer.next(SHORT) is None
    await consumer.stop()
    await depth_becomes(client, queue_name, QueueDepth(0, 0))


async def test_a_settled_delivery_may_be_settled_again_without_harm(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(message(queue_name, b"1"), message(queue_name, b"2"))
    consumer = await client.consume(queue_name, prefetch=1)

    [first] = await take_all(consumer, 1)
    await consumer.ack(first)
    [second] = await take_all(consumer, 1)
    await consumer.ack(first)

    assert await consumer.next(SHORT) is None
    await consumer.ack(second)
    await depth_becomes(client, queue_name, QueueDepth(0, 1))


async def test_stopping_gives_back_what_nobody_took_and_keeps_what_was_taken(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(*(message(queue_name, b"%d" % n) for n in range(5)))
    consumer = await client.consume(queue_name, prefetch=4)
    [taken] = await take_all(consumer, 1)

    await consumer.stop()

    await depth_becomes(client, queue_name, QueueDepth(4, 0))
    await consumer.ack(taken)
    other = await (await connect()).consume(queue_name)
    assert sorted(bodies(await take_all(other, 4))) == [b"1", b"2", b"3", b"4"]
    assert await other.next(SHORT) is None


async def test_what_a_closed_client_did_not_acknowledge_goes_to_another(connect: Connect, queue_name: str) -> None:
    leaving, staying = await connect(), await connect()
    await leaving.declare(one_queue(queue_name))
    await staying.declare(one_queue(queue_name))
    await leaving.publish(message(queue_name, b"done"), message(queue_name, b"open"))
    consumer = await leaving.consume(queue_name)
    done, _open = await take_all(consumer, 2)

    await consumer.ack(done)
    await leaving.close()

    again = await take_all(await staying.consume(queue_name), 1)
    assert [(d.body, d.redelivered) for d in again] == [(b"open", True)]
    await depth_becomes(staying, queue_name, QueueDepth(0, 1))


async def test_two_consumers_share_a_queue(connect: Connect, queue_name: str) -> None:
    one, two = await connect(), await connect()
    await one.declare(one_queue(queue_name))
    first, second = await one.consume(queue_name, prefetch=2), await two.consume(queue_name, prefetch=2)

    await one.publish(*(message(queue_name, b"%d" % n) for n in range(4)))

    shared_out = bodies(await take_all(first, 2)) + bodies(await take_all(second, 2))
    assert sorted(shared_out) == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("exchange", ["", "bound-to-nothing", "does-not-exist"])
async def test_a_mandatory_message_that_no_queue_takes_is_reported(
    connect: Connect, queue_name: str, exchange: str
) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name).merged(Topology(exchanges=(ExchangeSpec("bound-to-nothing"),))))
    lost = OutgoingMessage(exchange, "nowhere", b"")

    assert await client.publish(lost) == [Outcome.RETURNED]
    assert await client.publish(message(queue_name)) == [Outcome.CONFIRMED]


async def test_an_unroutable_message_that_is_not_mandatory_is_dropped(connect: Connect) -> None:
    client = await connect()
    await client.declare(Topology())

    assert await client.publish(OutgoingMessage("", "nowhere", b"", mandatory=False)) == [Outcome.CONFIRMED]


@pytest.mark.parametrize(
    ("kind", "key", "expected"),
    [("direct", "run.start", "direct"), ("fanout", "anything", "fanout"), ("topic", "run.start.now", "topic")],
)
async def test_an_exchange_routes_by_its_kind(
    connect: Connect, queue_name: str, kind: ExchangeKind, key: str, expected: str
) -> None:
    client = await connect()
    exchange, other = f"x-{queue_name}", f"other-{queue_name}"
    patterns = {"direct": "run.start", "fanout": "", "topic": "run.*.#"}
    topology = Topology(
        exchanges=(ExchangeSpec(exchange, kind),),
        queues=(QueueSpec(queue_name), QueueSpec(other)),
        bindings=(BindingSpec(queue_name, exchange, patterns[kind]), BindingSpec(other, exchange, "never.matches")),
    )
    await client.declare(topology)

    await client.publish(OutgoingMessage(exchange, key, expected.encode()))

    depths = await client.depths(queue_name, other)
    assert depths[queue_name].messages == 1
    assert depths[other].messages == (1 if kind == "fanout" else 0)


async def test_depths_leave_out_queues_that_do_not_exist(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.publish(message(queue_name))

    assert await client.depths("missing-1", queue_name, "missing-2") == {queue_name: QueueDepth(1, 0)}
    assert await client.publish(message(queue_name)) == [Outcome.CONFIRMED]


async def test_a_contradicting_declaration_is_refused_and_nothing_breaks(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))

    with pytest.raises(TopologyRefused):
        await client.declare(Topology(queues=(QueueSpec(queue_name, max_priority=5),)))

    assert await client.publish(message(queue_name)) == [Outcome.CONFIRMED]


async def test_an_exclusive_queue_belongs_to_one_client_and_ends_with_it(connect: Connect, queue_name: str) -> None:
    owner, other = await connect(), await connect()
    mine = Topology(queues=(QueueSpec(queue_name, durable=False, exclusive=True, auto_delete=True),))
    await owner.declare(mine)
    await other.declare(Topology())

    with pytest.raises(QueueLocked):
        await other.declare(mine)
    assert await other.publish(message(queue_name)) == [Outcome.CONFIRMED]
    await owner.close()

    await depth_becomes(other, queue_name, None)


async def test_a_closed_client_refuses_to_work(connect: Connect, queue_name: str) -> None:
    client = await connect()
    await client.declare(one_queue(queue_name))
    await client.close()
    await client.close()

    for call in (client.publish(message(queue_name)), client.declare(Topology()), client.depths(queue_name)):
        with pytest.raises(BrokerError, match="closed"):
            await asyncio.wait_for(call, 5)
