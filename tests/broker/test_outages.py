"""The broker dies, the wire breaks: both clients come back by themselves, and nothing hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.broker.aio_client import AsyncBroker
from shared.broker.delays import backoff
from shared.broker.errors import BrokerUnavailable
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import Delivery, Outcome, OutgoingMessage, QueueDepth
from shared.broker.topology import BindingSpec, ExchangeSpec, QueueSpec, Topology
from tests.broker.drivers import AsyncDriver, depth_becomes
from tests.broker.rabbit_node import RabbitNode
from tests.broker.waiting import until, wait_until
from tests.fakes.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration

AT_ONCE = 2.0
"""Seconds within which a call without a broker must fail."""

HEARTBEAT = 1
"""Seconds. pika notices a silent peer within 2 × (heartbeat + 5) s, aiormq after 3 × (heartbeat + 1) s."""


def quick() -> Iterator[float]:
    return backoff(0.05, 0.3)


@pytest.fixture
def proxy(rabbit_node: RabbitNode) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", rabbit_node.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(proxy: TcpProxy, rabbit_node: RabbitNode, private_url: str) -> str:
    return private_url.replace(f":{rabbit_node.port}/", f":{proxy.port}/")


def one_queue(name: str) -> Topology:
    return Topology(queues=(QueueSpec(name),))


def note(queue: str, body: bytes = b"") -> OutgoingMessage:
    return OutgoingMessage("", queue, body)


def test_the_blocking_client_survives_a_killed_broker(
    rabbit_node: RabbitNode, private_url: str, queue_name: str
) -> None:
    with BlockingBroker(private_url, "survivor", delays=quick) as broker:
        broker.declare(one_queue(queue_name))
        broker.publish([note(queue_name, b"unacked"), note(queue_name, b"waiting")])
        consumer = broker.consume(queue_name, prefetch=1)
        [unacked] = consumer.take(1, 10)

        rabbit_node.flush_metadata()
        rabbit_node.kill()
        wait_until(lambda: not broker.is_connected, what="the loss of the connection")
        assert not consumer.is_consuming
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            broker.publish([note(queue_name)])
        with pytest.raises(BrokerUnavailable):
            broker.queue_depths([queue_name])
        assert time.monotonic() - started < AT_ONCE

        rabbit_node.start()
        broker.wait_connected(30)
        consumer.ack([unacked])
        [again] = consumer.take(1, 10)
        assert (again.body, again.redelivered) == (b"unacked", True)
        consumer.ack([again])
        [last] = consumer.take(1, 10)
        consumer.ack([last])
        assert last.body == b"waiting"
        assert broker.publish([note(queue_name)])[0].confirmed


async def test_the_asyncio_client_survives_a_killed_broker(
    rabbit_node: RabbitNode, private_url: str, queue_name: str
) -> None:
    own = QueueSpec(f"own-{queue_name}", durable=False, exclusive=True, auto_delete=True)
    exchange = f"control-{queue_name}"
    reconnections: list[None] = []
    async with AsyncBroker(private_url, "survivor", delays=quick) as broker:
        broker.on_reconnected(lambda: reconnections.append(None))
        await broker.declare(one_queue(queue_name))
        await broker.declare(Topology((ExchangeSpec(exchange, "fanout"),), (own,), (BindingSpec(own.name, exchange),)))
        for body in (b"unacked", b"waiting"):
            await broker.publish(note(queue_name, body))
        consumer, control = await broker.consume(queue_name, 1), await broker.consume(own, 5)
        unacked = await asyncio.wait_for(consumer.get(), 10)

        await asyncio.to_thread(rabbit_node.flush_metadata)
        await asyncio.to_thread(rabbit_node.kill)
        await until(lambda: not broker.connected.is_set(), what="the loss of the connection")
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            await broker.publish(note(queue_name))
        assert time.monotonic() - started < AT_ONCE
        assert not reconnections

        await asyncio.to_thread(rabbit_node.start)
        await broker.wait_connected(30)
        await consumer.ack(unacked)
        for body, redelivered in ((b"unacked", True), (b"waiting", False)):
            delivery = await asyncio.wait_for(consumer.get(), 10)
            assert delivery.body == body
            assert delivery.redelivered or not redelivered
            await consumer.ack(delivery)
        await asyncio.wait_for(control.wait_consuming(), 10)
        await broker.publish(OutgoingMessage(exchange, "", b"cancel"))
        assert (await asyncio.wait_for(control.get(), 10)).body == b"cancel"
        assert len(reconnections) == 1


def test_messages_in_flight_when_the_broker_dies_are_unknown_not_lost_silently(
    rabbit_node: RabbitNode, private_url: str, queue_name: str
) -> None:
    with BlockingBroker(private_url, "in-flight", delays=quick) as broker:
        broker.declare(one_queue(queue_name))
        rabbit_node.flush_metadata()
        batch = [note(queue_name, b"x" * 300) for _ in range(40_000)]  # takes seconds, the broker has half of one
        with killed_after(0.5, rabbit_node):
            results = broker.publish(batch, timeout=30)
        assert {r.outcome for r in results} <= {Outcome.CONFIRMED, Outcome.UNKNOWN}
        assert Outcome.UNKNOWN in {r.outcome for r in results}
        confirmed = {r.message_id for r in results if r.confirmed}

        rabbit_node.start()
        broker.wait_connected(30)
        kept: list[Delivery] = []
        consumer = broker.consume(queue_name, prefetch=0)
        wait_until(lambda: len(kept.__iadd__(consumer.take(5000, 0.2))) >= len(confirmed), 60, "all that was confirmed")
        assert confirmed <= {d.message_id for d in kept}


def test_the_blocking_client_notices_a_silent_wire(proxy: TcpProxy, proxied_url: str, queue_name: str) -> None:
    with BlockingBroker(proxied_url, "blackholed", heartbeat=HEARTBEAT, delays=quick) as broker:
        broker.declare(one_queue(queue_name))
        consumer = broker.consume(queue_name, prefetch=1)
        assert consumer.wait_consuming(10)

        proxy.blackhole()
        results = broker.publish([note(queue_name)], timeout=0.5)
        assert [r.outcome for r in results] == [Outcome.UNKNOWN]
        wait_until(lambda: not broker.is_connected, 2 * (HEARTBEAT + 5) + 3, "the heartbeat's end")
        assert not consumer.is_consuming

        proxy.forward()
        broker.wait_connected(30)
        assert consumer.wait_consuming(20)
        assert broker.publish([note(queue_name)])[0].confirmed


async def test_the_asyncio_client_notices_a_silent_wire(proxy: TcpProxy, proxied_url: str, queue_name: str) -> None:
    async with AsyncBroker(proxied_url, "blackholed", heartbeat=HEARTBEAT, delays=quick) as broker:
        await broker.declare(one_queue(queue_name))
        consumer = await broker.consume(queue_name, prefetch=1)
        await asyncio.wait_for(consumer.wait_consuming(), 10)

        proxy.blackhole()
        with pytest.raises(BrokerUnavailable):
            await broker.publish(note(queue_name), timeout=0.5)
        await until(lambda: not broker.connected.is_set(), 3 * (HEARTBEAT + 1) + 8, "the heartbeat's end")

        proxy.forward()
        await broker.wait_connected(30)
        await asyncio.wait_for(consumer.wait_consuming(), 20)
        await broker.publish(note(queue_name))


@pytest.mark.parametrize("client", ["pika", "aio-pika"])
async def test_an_exclusive_queue_survives_a_reset_connection(
    proxy: TcpProxy, proxied_url: str, queue_name: str, client: str
) -> None:
    own = Topology(queues=(QueueSpec(queue_name, durable=False, exclusive=True, auto_delete=True),))
    if client == "pika":
        with BlockingBroker(proxied_url, "reset", delays=quick) as blocking:
            blocking.declare(own)
            taker = blocking.consume(queue_name, prefetch=1)
            assert taker.wait_consuming(10)
            proxy.drop_connections()
            wait_until(lambda: proxy.accepted == 2, what="a new connection")
            assert taker.wait_consuming(20)
            blocking.publish([note(queue_name, b"again")])
            assert [d.body for d in taker.take(1, 10)] == [b"again"]
        return
    async with AsyncBroker(proxied_url, "reset", delays=quick) as broker:
        await broker.declare(own)
        consumer = await broker.consume(queue_name, prefetch=1)
        await asyncio.wait_for(consumer.wait_consuming(), 10)
        proxy.drop_connections()
        await until(lambda: proxy.accepted == 2, what="a new connection")
        await asyncio.wait_for(consumer.wait_consuming(), 20)
        await broker.publish(note(queue_name, b"again"))
        assert (await asyncio.wait_for(consumer.get(), 10)).body == b"again"


async def test_both_clients_come_back_when_refusals_end(proxy: TcpProxy, proxied_url: str, queue_name: str) -> None:
    with BlockingBroker(proxied_url, "refused", delays=quick) as blocking:
        async with AsyncBroker(proxied_url, "refused", delays=quick) as broker:
            await asyncio.to_thread(blocking.declare, one_queue(queue_name))
            await broker.wait_connected(10)
            proxy.refuse()
            await until(lambda: not blocking.is_connected and not broker.connected.is_set(), what="both losses")

            proxy.forward()

            await broker.wait_connected(20)
            await asyncio.to_thread(blocking.wait_connected, 20)
            await broker.publish(note(queue_name))
            await depth_becomes(AsyncDriver(broker), queue_name, QueueDepth(1, 0))


def test_closing_the_blocking_client_on_a_silent_wire_takes_its_timeout_and_no_longer(
    proxy: TcpProxy, proxied_url: str, queue_name: str
) -> None:
    broker = BlockingBroker(proxied_url, "stuck").start()
    broker.declare(one_queue(queue_name))
    proxy.blackhole()

    started = time.monotonic()
    broker.close(timeout=1.0)

    assert time.monotonic() - started < 1.0 + AT_ONCE


async def test_closing_the_asyncio_client_on_a_silent_wire_ends(
    proxy: TcpProxy, proxied_url: str, queue_name: str
) -> None:
    broker = await AsyncBroker(proxied_url, "stuck", heartbeat=HEARTBEAT).__aenter__()
    await broker.declare(one_queue(queue_name))
    consumer = await broker.consume(queue_name, prefetch=1)
    await asyncio.wait_for(consumer.wait_consuming(), 10)
    proxy.blackhole()

    await asyncio.wait_for(broker.close(), 20)


def test_a_slow_wire_is_no_outage(proxy: TcpProxy, proxied_url: str, queue_name: str) -> None:
    with BlockingBroker(proxied_url, "slow", heartbeat=2) as broker:
        broker.declare(one_queue(queue_name))
        proxy.delay(0.3)

        assert broker.publish([note(queue_name)])[0].confirmed
        assert broker.is_connected


@contextmanager
def killed_after(seconds: float, node: RabbitNode) -> Iterator[None]:
    """Kill the node from another thread, some seconds after the block begins."""
    timer = threading.Timer(seconds, node.kill)
    timer.start()
    yield
    timer.join()
