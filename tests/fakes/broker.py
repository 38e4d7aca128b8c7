# ruff: noqa: ARG002 - the port's timeouts mean nothing here: memory answers at once
"""`MemoryBroker` and `AsyncMemoryBroker`: the broker port in memory, under the same behaviour suite as RabbitMQ.

    server = MemoryServer()
    api, worker = MemoryBroker(server), AsyncMemoryBroker(server)

Set `server.available = False` to make every call raise `BrokerUnavailable`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Self

from shared.broker.errors import BrokerClosed, Unroutable
from shared.broker.port import Delivery, Outcome, OutgoingMessage, PublishResult, QueueDepth
from shared.broker.topology import QueueSpec, Topology
from tests.fakes.broker_server import MemoryServer, Subscription

__all__ = ["AsyncMemoryBroker", "AsyncMemoryConsumer", "MemoryBroker", "MemoryConsumer", "MemoryServer"]


class MemoryConsumer:
    """Implements `ConsumerPort`."""

    def __init__(self, server: MemoryServer, queue: str, prefetch: int, priority: int, owner: object) -> None:
        self._server = server
        self._changed = threading.Condition(server.lock)
        self._stopped = False
        self.subscription = server.subscribe(queue, prefetch, priority, owner, self._arrived)

    @property
    def is_consuming(self) -> bool:
        return self.subscription.active

    def wait_consuming(self, timeout: float) -> bool:
        return self.is_consuming

    def take(self, max_items: int, timeout: float) -> list[Delivery]:
        with self._changed:
            buffer = self.subscription.buffer
            self._changed.wait_for(lambda: buffer or self._stopped, timeout)
            if self._stopped:
                raise BrokerClosed
            return [buffer.popleft() for _ in range(min(max_items, len(buffer)))]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._server.settle(self.subscription, _tags(self.subscription, deliveries), requeue=False)

    def nack(self, deliveries: Sequence[Delivery], requeue: bool = True) -> None:
        self._server.settle(self.subscription, _tags(self.subscription, deliveries), requeue)

    def stop(self, timeout: float = 5.0) -> None:
        with self._changed:
            self._stopped = True
            self._server.cancel(self.subscription)
            self._changed.notify_all()

    def _arrived(self) -> None:
        with self._changed:
            self._changed.notify_all()


class MemoryBroker:
    """Implements `BrokerPort`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._consumers: list[MemoryConsumer] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        return self._server.available and not self._closed

    def wait_connected(self, timeout: float) -> None:
        self._check()

    def declare(self, topology: Topology, timeout: float = 10.0) -> None:
        self._check()
        self._server.declare(topology, self)

    def publish(self, messages: Sequence[OutgoingMessage], timeout: float = 10.0) -> list[PublishResult]:
        self._check()
        return [self._publish_one(message) for message in messages]

    def publish_unconfirmed(self, messages: Sequence[OutgoingMessage]) -> None:
        self.publish(messages)

    def consume(self, queue: str, prefetch: int, priority: int | None = None) -> MemoryConsumer:
        self._check()
        consumer = MemoryConsumer(self._server, queue, prefetch, priority or 0, self)
        self._consumers.append(consumer)
        return consumer

    def queue_depths(self, names: Sequence[str], timeout: float = 5.0) -> dict[str, QueueDepth]:
        self._check()
        depths = {name: self._server.depth(name, self) for name in names}
        return {name: depth for name, depth in depths.items() if depth is not None}

    def close(self, timeout: float = 5.0) -> None:
        if self._closed:
            return
        self._closed = True
        for consumer in self._consumers:
            consumer.stop()
        self._server.disconnect(self, [c.subscription for c in self._consumers])

    def _publish_one(self, message: OutgoingMessage) -> PublishResult:
        if self._server.publish(message) or not message.mandatory:
            return PublishResult(message.message_id, Outcome.CONFIRMED)
        return PublishResult(message.message_id, Outcome.RETURNED, "NO_ROUTE")

    def _check(self) -> None:
        if self._closed:
            raise BrokerClosed
        self._server.check()


class AsyncMemoryConsumer:
    """Implements `AsyncConsumerPort`."""

    def __init__(
        self, server: MemoryServer, queue: QueueSpec | str, prefetch: int, owner: object, *, acknowledges: bool = True
    ) -> None:
        self._server = server
        self._queue = queue
        self._prefetch = prefetch if acknowledges else sys.maxsize
        self._acknowledges = acknowledges
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._closed = False
        self.subscriptions: list[Subscription] = []
        self._subscribe()

    @property
    def is_consuming(self) -> bool:
        return self.subscriptions[-1].active

    async def wait_consuming(self) -> None:
        return None

    async def get(self) -> Delivery:
        while not self.subscriptions[-1].buffer:
            if self._closed:
                raise BrokerClosed
            self._woken.clear()
            await self._woken.wait()
        delivery = self.subscriptions[-1].buffer.popleft()
        if not self._acknowledges:
            self._settle(delivery, requeue=False)
        return delivery

    async def ack(self, delivery: Delivery) -> None:
        self._settle(delivery, requeue=False)

    async def nack(self, delivery: Delivery, requeue: bool = True) -> None:
        self._settle(delivery, requeue)

    async def pause(self) -> None:
        self._server.cancel(self.subscriptions[-1])

    async def resume(self) -> None:
        if self._closed:
            raise BrokerClosed
        if not self.is_consuming:
            self._subscribe()

    async def set_prefetch(self, prefetch: int) -> None:
        self._prefetch = prefetch
        if self.is_consuming:
            await self.pause()
            await self.resume()

    async def close(self) -> None:
        self._closed = True
        await self.pause()
        self._woken.set()

    def _subscribe(self) -> None:
        name = self._queue if isinstance(self._queue, str) else self._queue.name
        if isinstance(self._queue, QueueSpec):
            self._server.declare(Topology(queues=(self._queue,)), self._owner)
        self.subscriptions.append(self._server.subscribe(name, self._prefetch, 0, self._owner, self._arrived))

    def _settle(self, delivery: Delivery, requeue: bool) -> None:
        for subscription in self.subscriptions:
            self._server.settle(subscription, _tags(subscription, [delivery]), requeue)

    def _arrived(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)


class AsyncMemoryBroker:
    """Implements `AsyncBrokerPort`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._consumers: list[AsyncMemoryConsumer] = []
        self._callbacks: list[Callable[[], None]] = []
        self._closed = False
        self.connected = asyncio.Event()
        self.connected.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def wait_connected(self, timeout: float) -> None:
        self._check()

    def on_reconnected(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def pretend_reconnected(self) -> None:
        """Call what `on_reconnected` registered, as after an outage."""
        for callback in self._callbacks:
            callback()

    async def declare(self, topology: Topology, timeout: float = 10.0) -> None:
        self._check()
        self._server.declare(topology, self)

    async def publish(self, message: OutgoingMessage, timeout: float = 10.0) -> None:
        self._check()
        if not self._server.publish(message) and message.mandatory:
            raise Unroutable(message.exchange, message.routing_key, "NO_ROUTE")

    async def publish_unconfirmed(self, message: OutgoingMessage) -> None:
        self._check()
        self._server.publish(message)

    async def remove_one(self, queue: str) -> None:
        self._check()
        self._server.remove_one(queue, self)

    async def consume(self, queue: QueueSpec | str, prefetch: int, *, acknowledges: bool = True) -> AsyncMemoryConsumer:
        self._check()
        consumer = AsyncMemoryConsumer(self._server, queue, prefetch, self, acknowledges=acknowledges)
        self._consumers.append(consumer)
        return consumer

    async def queue_depths(self, names: Sequence[str]) -> dict[str, QueueDepth]:
        self._check()
        depths = {name: self._server.depth(name, self) for name in names}
        return {name: depth for name, depth in depths.items() if depth is not None}

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for consumer in self._consumers:
            await consumer.close()
        self._server.disconnect(self, [s for c in self._consumers for s in c.subscriptions])

    def _check(self) -> None:
        if self._closed:
            raise BrokerClosed
        self._server.check()


def _tags(subscription: Subscription, deliveries: Sequence[Delivery]) -> list[int]:
    return [d.receipt.tag for d in deliveries if d.receipt.session == subscription.session]
