"""What only the asyncio client does: pausing, prefetch in flight, the worker's own queue, callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from shared.broker.aio_client import AsyncBroker
from shared.broker.errors import BrokerClosed, BrokerError, BrokerUnavailable, TopologyRefused, Unroutable
from shared.broker.port import AsyncBrokerPort, OutgoingMessage, QueueDepth
from shared.broker.topology import BindingSpec, ExchangeSpec, QueueSpec, Topology
from tests.broker.drivers import AsyncDriver, depth_becomes
from tests.broker.waiting import until
from tests.fakes.broker import AsyncMemoryBroker, MemoryServer


@pytest.fixture
async def broker(broker_url: str, queue_name: str) -> AsyncIterator[AsyncBroker]:
    async with AsyncBroker(broker_url, "asyncio") as broker:
        await broker.declare(Topology(queues=(QueueSpec(queue_name, max_priority=10),)))
        yield broker


async def publish(broker: AsyncBroker, queue: str, *bodies: bytes) -> None:
    await asyncio.gather(*(broker.publish(OutgoingMessage("", queue, body)) for body in bodies))


@pytest.fixture(params=["RabbitMQ", "memory"])
async def any_broker(
    request: pytest.FixtureRequest, broker_url: str, queue_name: str
) -> AsyncIterator[AsyncBrokerPort]:
    real = request.param == "RabbitMQ"
    async with AsyncBroker(broker_url, "asyncio") if real else AsyncMemoryBroker(MemoryServer()) as broker:
        await broker.declare(Topology(queues=(QueueSpec(queue_name, max_priority=10),)))
        yield broker


async def test_an_unconfirmed_message_arrives(any_broker: AsyncBrokerPort, queue_name: str) -> None:
    await any_broker.publish_unconfirmed(OutgoingMessage("", "nowhere", b""))
    await any_broker.publish_unconfirmed(OutgoingMessage("", queue_name, b"report", correlation_id="7", priority=3))

    consumer = await any_broker.consume(queue_name, prefetch=5)
    delivery = await asyncio.wait_for(consumer.get(), 10)
    assert (delivery.body, delivery.correlation_id, delivery.priority) == (b"report", "7", 3)


async def test_unconfirmed_messages_go_on_after_one_that_the_broker_refuses(
    broker: AsyncBroker, queue_name: str
) -> None:
    consumer = await broker.consume(queue_name, prefetch=5)
    await broker.publish_unconfirmed(OutgoingMessage("no-such-exchange", "", b""))  # the broker closes the channel

    async def arrives() -> bytes:
        while True:
            with suppress(BrokerError):
                await broker.publish_unconfirmed(OutgoingMessage("", queue_name, b"again"))
            with suppress(TimeoutError):
                return (await asyncio.wait_for(consumer.get(), 0.2)).body

    assert await asyncio.wait_for(arrives(), 10) == b"again"


async def test_removing_one_takes_the_first_message_and_nothing_from_an_empty_queue(
    any_broker: AsyncBrokerPort, queue_name: str
) -> None:
    for body, priority in ((b"low", 1), (b"high", 9), (b"lower", 0)):
        await any_broker.publish(OutgoingMessage("", queue_name, body, priority=priority))

    await any_broker.remove_one(queue_name)
    await depth_becomes(AsyncDriver(any_broker), queue_name, QueueDepth(2, 0))
    consumer = await any_broker.consume(queue_name, prefetch=5)
    left = [await asyncio.wait_for(consumer.get(), 10) for _ in range(2)]
    assert [each.body for each in left] == [b"low", b"lower"]

    await any_broker.remove_one(queue_name)
    with pytest.raises(TopologyRefused):
        await any_broker.remove_one("no-such-queue")
    await any_broker.remove_one(queue_name)


async def test_what_is_consumed_without_acknowledgement_is_forgotten_and_knows_no_prefetch(
    any_broker: AsyncBrokerPort, queue_name: str
) -> None:
    for number in range(3):
        await any_broker.publish(OutgoingMessage("", queue_name, b"%d" % number))

    consumer = await any_broker.consume(queue_name, prefetch=1, acknowledges=False)

    taken = [await asyncio.wait_for(consumer.get(), 10) for _ in range(3)]
    assert [each.body for each in taken] == [b"0", b"1", b"2"]
    await consumer.ack(taken[0])  # says nothing to the broker, which would close the channel
    await consumer.pause()
    await depth_becomes(AsyncDriver(any_broker), queue_name, QueueDepth(0, 0))


async def test_pause_stops_deliveries_and_gives_the_prefetched_ones_back(broker: AsyncBroker, queue_name: str) -> None:
    await publish(broker, queue_name, b"1", b"2", b"3")
    consumer = await broker.consume(queue_name, prefetch=2)
    held = await asyncio.wait_for(consumer.get(), 10)
    await until(lambda: len(consumer._buffer) == 1, what="a prefetched delivery")

    await consumer.pause()

    assert not consumer.is_consuming
    await depth_becomes(AsyncDriver(broker), queue_name, QueueDepth(2, 0))
    await publish(broker, queue_name, b"4")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consumer.get(), 0.2)
    await consumer.ack(held)
    await consumer.resume()
    again = [await asyncio.wait_for(consumer.get(), 10) for _ in range(2)]
    assert [d.body for d in again] == [b"2", b"3"]


async def test_pausing_in_a_stream_of_messages_loses_none(broker: AsyncBroker, queue_name: str) -> None:
    seen: set[bytes] = set()
    wanted = {b"%d" % n for n in range(300)}
    consumer = await broker.consume(queue_name, prefetch=20)
    publishing = asyncio.create_task(publish(broker, queue_name, *wanted))

    async def drain() -> None:
        while seen != wanted:
            delivery = await consumer.get()
            seen.add(delivery.body)
            await consumer.ack(delivery)

    draining = asyncio.create_task(drain())
    while not draining.done():
        await consumer.pause()
        await consumer.resume()
        await asyncio.sleep(0.01)
    await draining
    await publishing

    await consumer.pause()
    await depth_becomes(AsyncDriver(broker), queue_name, QueueDepth(0, 0))


async def test_another_prefetch_holds_at_once_and_keeps_what_is_in_hand(broker: AsyncBroker, queue_name: str) -> None:
    await publish(broker, queue_name, *(b"%d" % n for n in range(10)))
    consumer = await broker.consume(queue_name, prefetch=1)
    held = await asyncio.wait_for(consumer.get(), 10)

    await consumer.set_prefetch(4)

    await depth_becomes(AsyncDriver(broker), queue_name, QueueDepth(5, 1))
    await consumer.ack(held)
    await consumer.pause()
    await depth_becomes(AsyncDriver(broker), queue_name, QueueDepth(9, 0))


async def test_a_cancelled_get_takes_nothing_with_it(broker: AsyncBroker, queue_name: str) -> None:
    consumer = await broker.consume(queue_name, prefetch=1)
    for _ in range(20):
        waiting = asyncio.create_task(consumer.get())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    await publish(broker, queue_name, b"only")

    assert (await asyncio.wait_for(consumer.get(), 10)).body == b"only"


async def test_a_deleted_queue_is_declared_again_and_consumed_again(broker: AsyncBroker, queue_name: str) -> None:
    consumer = await broker.consume(queue_name, prefetch=5)
    await asyncio.wait_for(consumer.wait_consuming(), 10)
    await publish(broker, queue_name, b"old")
    old = await asyncio.wait_for(consumer.get(), 10)

    await delete_queue(broker, queue_name)

    await depth_becomes(AsyncDriver(broker), queue_name, QueueDepth(0, 1))
    await consumer.ack(old)
    await publish(broker, queue_name, b"new")
    assert (await asyncio.wait_for(consumer.get(), 10)).body == b"new"


async def test_the_queue_of_a_worker_comes_back_with_its_binding_after_a_pause(
    broker: AsyncBroker, queue_name: str
) -> None:
    own = QueueSpec(f"own-{queue_name}", durable=False, exclusive=True, auto_delete=True)
    exchange = f"control-{queue_name}"
    await broker.declare(Topology((ExchangeSpec(exchange, "fanout"),), (own,), (BindingSpec(own.name, exchange),)))
    consumer = await broker.consume(own, prefetch=5)
    await asyncio.wait_for(consumer.wait_consuming(), 10)

    await consumer.pause()  # its last consumer is gone: the broker deletes an auto-delete queue
    with pytest.raises(Unroutable):
        await broker.publish(OutgoingMessage(exchange, "", b"while away"))
    await consumer.resume()
    await asyncio.wait_for(consumer.wait_consuming(), 10)

    await broker.publish(OutgoingMessage(exchange, "", b"back"))
    assert (await asyncio.wait_for(consumer.get(), 10)).body == b"back"


async def test_one_identifier_published_twice_at_once_gets_two_answers(broker: AsyncBroker) -> None:
    lost = OutgoingMessage("", "nowhere", b"", message_id="same")

    answers = await asyncio.gather(*(broker.publish(lost) for _ in range(5)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unroutable] * 5


async def test_an_unroutable_message_names_its_address(broker: AsyncBroker) -> None:
    with pytest.raises(Unroutable, match="exchange '', routing key 'nowhere'") as caught:
        await broker.publish(OutgoingMessage("", "nowhere", b""))
    assert (caught.value.exchange, caught.value.routing_key) == ("", "nowhere")


async def test_close_ends_every_wait_and_every_task(broker_url: str, queue_name: str) -> None:
    before = asyncio.all_tasks()
    async with AsyncBroker(broker_url, "closing") as broker:
        await broker.declare(Topology(queues=(QueueSpec(queue_name),)))
        consumer = await broker.consume(queue_name, prefetch=1)
        waiting = asyncio.create_task(consumer.get())
        await asyncio.wait_for(consumer.wait_consuming(), 10)

    with pytest.raises(BrokerClosed):
        await waiting
    with pytest.raises(BrokerClosed):
        await broker.publish(OutgoingMessage("", queue_name, b""))
    await until(lambda: asyncio.all_tasks() <= before, what="the end of all tasks")


async def test_a_client_that_never_reached_a_broker_says_so_and_closes() -> None:
    async with AsyncBroker("amqp://guest:guest@127.0.0.1:1/", "nobody") as broker:
        consumer = await broker.consume("q", prefetch=1)
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            await broker.wait_connected(0.5)
        with pytest.raises(BrokerUnavailable):
            await broker.publish(OutgoingMessage("", "q", b""))
        assert not consumer.is_consuming


async def delete_queue(broker: AsyncBroker, name: str) -> None:
    """As an operator would."""
    async with broker._require_connection().channel() as channel:
        await channel.queue_delete(name)
