"""One way to speak to both ports, so that one suite of behaviour runs over all four implementations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from shared.broker.errors import NotAccepted, Unroutable
from shared.broker.port import (
    AsyncBrokerPort,
    AsyncConsumerPort,
    BrokerPort,
    ConsumerPort,
    Delivery,
    Outcome,
    OutgoingMessage,
    QueueDepth,
)
from shared.broker.topology import Topology

PATIENCE = 10.0
"""Seconds to wait for something that must come."""


class Consuming(Protocol):
    """A consumer as the suite sees it."""

    async def next(self, timeout: float = PATIENCE) -> Delivery | None: ...

    async def ack(self, *deliveries: Delivery) -> None: ...

    async def nack(self, *deliveries: Delivery, requeue: bool = True) -> None: ...

    async def stop(self) -> None: ...


class Driver(Protocol):
    """A broker client as the suite sees it."""

    async def declare(self, topology: Topology) -> None: ...

    async def publish(self, *messages: OutgoingMessage) -> list[Outcome]: ...

    async def consume(self, queue: str, prefetch: int = 10) -> Consuming: ...

    async def depths(self, *names: str) -> dict[str, QueueDepth]: ...

    async def close(self) -> None: ...


class BlockingConsuming:
    """The threaded port's consumer."""

    def __init__(self, consumer: ConsumerPort) -> None:
        self._consumer = consumer

    async def next(self, timeout: float = PATIENCE) -> Delivery | None:
        taken = await asyncio.to_thread(self._consumer.take, 1, timeout)
        return taken[0] if taken else None

    async def ack(self, *deliveries: Delivery) -> None:
        self._consumer.ack(deliveries)

    async def nack(self, *deliveries: Delivery, requeue: bool = True) -> None:
        self._consumer.nack(deliveries, requeue)

    async def stop(self) -> None:
        await asyncio.to_thread(self._consumer.stop)


class BlockingDriver:
    """The threaded port."""

    def __init__(self, broker: BrokerPort) -> None:
        self._broker = broker

    async def declare(self, topology: Topology) -> None:
        await asyncio.to_thread(self._broker.declare, topology)

    async def publish(self, *messages: OutgoingMessage) -> list[Outcome]:
        return [r.outcome for r in await asyncio.to_thread(self._broker.publish, messages)]

    async def consume(self, queue: str, prefetch: int = 10) -> Consuming:
        consumer = self._broker.consume(queue, prefetch)
        assert await asyncio.to_thread(consumer.wait_consuming, PATIENCE)
        return BlockingConsuming(consumer)

    async def depths(self, *names: str) -> dict[str, QueueDepth]:
        return await asyncio.to_thread(self._broker.queue_depths, names)

    async def close(self) -> None:
        await asyncio.to_thread(self._broker.close)


class AsyncConsuming:
    """The asyncio port's consumer."""

    def __init__(self, consumer: AsyncConsumerPort) -> None:
        self._consumer = consumer

    async def next(self, timeout: float = PATIENCE) -> Delivery | None:
        try:
            return await asyncio.wait_for(self._consumer.get(), timeout)
        except TimeoutError:
            return None

    async def ack(self, *deliveries: Delivery) -> None:
        for delivery in deliveries:
            await self._consumer.ack(delivery)

    async def nack(self, *deliveries: Delivery, requeue: bool = True) -> None:
        for delivery in deliveries:
            await self._consumer.nack(delivery, requeue)

    async def stop(self) -> None:
        await self._consumer.pause()


class AsyncDriver:
    """The asyncio port."""

    def __init__(self, broker: AsyncBrokerPort) -> None:
        self._broker = broker

    async def declare(self, topology: Topology) -> None:
        await self._broker.declare(topology)

    async def publish(self, *messages: OutgoingMessage) -> list[Outcome]:
        return [await self._outcome(message) for message in messages]

    async def consume(self, queue: str, prefetch: int = 10) -> Consuming:
        consumer = await self._broker.consume(queue, prefetch)
        await asyncio.wait_for(consumer.wait_consuming(), PATIENCE)
        return AsyncConsuming(consumer)

    async def depths(self, *names: str) -> dict[str, QueueDepth]:
        return await self._broker.queue_depths(names)

    async def close(self) -> None:
        await self._broker.close()

    async def _outcome(self, message: OutgoingMessage) -> Outcome:
        try:
            await self._broker.publish(message)
        except Unroutable:
            return Outcome.RETURNED
        except NotAccepted:
            return Outcome.NACKED
        return Outcome.CONFIRMED


async def take_all(consuming: Consuming, count: int) -> list[Delivery]:
    """The next `count` deliveries, in order; fails the test if they do not come."""
    taken: list[Delivery] = []
    while len(taken) < count:
        delivery = await consuming.next()
        assert delivery is not None, f"only {len(taken)} of {count} deliveries came"
        taken.append(delivery)
    return taken


async def depth_becomes(driver: Driver, queue: str, expected: QueueDepth | None) -> None:
    """Wait until the queue has this depth (None: until it is gone); acknowledgements arrive a moment later."""
    deadline = time.monotonic() + PATIENCE
    while (depth := (await driver.depths(queue)).get(queue)) != expected:
        assert time.monotonic() < deadline, f"the depth is {depth}, not {expected}"
        await asyncio.sleep(0.02)


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    """What was in them."""
    return [d.body for d in deliveries]
