"""A broker in memory: exchanges, priority queues, prefetch, exclusive queues. The state behind `tests.fakes.broker`.

It promises no more than RabbitMQ does, and is kept to that by the behaviour suite that runs over both.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.broker.errors import BrokerUnavailable, QueueLocked, TopologyRefused
from shared.broker.port import Delivery, OutgoingMessage, QueueDepth, Receipt
from shared.broker.topology import BindingSpec, ExchangeSpec, QueueSpec, Topology


@dataclass(order=True)
class Entry:
    """A message in a queue; the heap's order is priority, then age."""

    rank: tuple[int, int]
    message: OutgoingMessage = field(compare=False)
    redelivered: bool = field(default=False, compare=False)


@dataclass(eq=False)
class Subscription:
    """One consumer: what was delivered to it and not yet taken, and what is not yet acknowledged."""

    queue: str
    prefetch: int
    priority: int
    arrived: Callable[[], None]
    session: int
    buffer: deque[Delivery] = field(default_factory=deque)
    unsettled: dict[int, Entry] = field(default_factory=dict)
    active: bool = True

    @property
    def has_room(self) -> bool:
        """Whether the prefetch allows another delivery."""
        return self.active and len(self.unsettled) < self.prefetch


@dataclass(eq=False)
class MemoryQueue:
    """A queue, its owner if exclusive, and its consumers in the order in which they take turns."""

    spec: QueueSpec
    owner: object | None
    entries: list[Entry] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)


class MemoryServer:
    """Shared by all `MemoryBroker` and `AsyncMemoryBroker` that shall see each other. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.available = True
        self._exchanges: dict[str, ExchangeSpec] = {}
        self._queues: dict[str, MemoryQueue] = {}
        self._bindings: dict[BindingSpec, None] = {}
        self._counter = itertools.count(1)

    def check(self) -> None:
        """Raise `BrokerUnavailable` while `available` is false."""
        if not self.available:
            raise BrokerUnavailable

    def declare(self, topology: Topology, owner: object) -> None:
        """Declare all; `owner` is the connection that exclusive queues belong to."""
        with self.lock:
            self.check()
            for exchange in topology.exchanges:
                if self._exchanges.setdefault(exchange.name, exchange) != exchange:
                    raise TopologyRefused(f"Exchange '{exchange.name}' exists with other properties")
            for queue in topology.queues:
                self._declare_queue(queue, owner)
            for binding in topology.bindings:
                if binding.exchange not in self._exchanges or binding.queue not in self._queues:
                    raise TopologyRefused(f"{binding} names what does not exist")
                self._bindings[binding] = None

    def publish(self, message: OutgoingMessage) -> bool:
        """Put the message into every queue that it is routed to; whether there was one."""
        with self.lock:
            self.check()
            targets = self._route(message)
            for queue in targets:
                priority = min(message.priority, queue.spec.max_priority or 0)
                heapq.heappush(queue.entries, Entry((-priority, next(self._counter)), message))
                self._deliver(queue)
            return bool(targets)

    def remove_one(self, queue: str, owner: object) -> None:
        """Forget the queue's first message, if there is one. Raises `TopologyRefused` if the queue is missing."""
        with self.lock:
            entries = self._accessible(queue, owner).entries
            if entries:
                heapq.heappop(entries)

    def subscribe(
        self, queue: str, prefetch: int, priority: int, owner: object, arrived: Callable[[], None]
    ) -> Subscription:
        """A new consumer of the queue. Raises `TopologyRefused` if the queue is missing."""
        with self.lock:
            self.check()
            target = self._accessible(queue, owner)
            subscription = Subscription(queue, prefetch, priority, arrived, next(self._counter))
            target.subscriptions.append(subscription)
            self._deliver(target)
            return subscription

    def cancel(self, subscription: Subscription) -> None:
        """No more deliveries; what was not taken goes back."""
        with self.lock:
            subscription.active = False
            waiting = [d.receipt.tag for d in subscription.buffer]
            subscription.buffer.clear()
            self.settle(subscription, waiting, requeue=True)
            queue = self._queues.get(subscription.queue)
            if queue is not None and subscription in queue.subscriptions:
                queue.subscriptions.remove(subscription)
                if queue.spec.auto_delete and not queue.subscriptions:
                    self.delete_queue(subscription.queue)

    def settle(self, subscription: Subscription, tags: list[int], requeue: bool) -> None:
        """Forget deliveries, or put them back where they were in the queue."""
        with self.lock:
            queue = self._queues.get(subscription.queue)
            for tag in tags:
                entry = subscription.unsettled.pop(tag, None)
                if entry is not None and requeue and queue is not None:
                    entry.redelivered = True
                    heapq.heappush(queue.entries, entry)
            if queue is not None:
                self._deliver(queue)

    def disconnect(self, owner: object, subscriptions: list[Subscription]) -> None:
        """The connection ends: everything unacknowledged goes back, exclusive queues go."""
        with self.lock:
            for subscription in subscriptions:
                subscription.active = False
                self.settle(subscription, list(subscription.unsettled), requeue=True)
                self.cancel(subscription)
            for name in [name for name, queue in self._queues.items() if queue.owner is owner]:
                self.delete_queue(name)

    def delete_queue(self, name: str) -> None:
        """Delete the queue with its messages and bindings."""
        with self.lock:
            self._queues.pop(name, None)
            self._bindings = {b: None for b in self._bindings if b.queue != name}

    def depth(self, name: str, owner: object) -> QueueDepth | None:
        """Ready messages and consumers, or None if the queue is missing."""
        with self.lock:
            self.check()
            if name not in self._queues:
                return None
            queue = self._accessible(name, owner)
            return QueueDepth(len(queue.entries), len(queue.subscriptions))

    def _declare_queue(self, spec: QueueSpec, owner: object) -> None:
        if spec.name not in self._queues:
            self._queues[spec.name] = MemoryQueue(spec, owner if spec.exclusive else None)
        elif self._accessible(spec.name, owner).spec != spec:
            raise TopologyRefused(f"Queue '{spec.name}' exists with other properties")

    def _accessible(self, name: str, owner: object) -> MemoryQueue:
        queue = self._queues.get(name)
        if queue is None:
            raise TopologyRefused(f"No queue '{name}'")
        if queue.owner not in (None, owner):
            raise QueueLocked
        return queue

    def _route(self, message: OutgoingMessage) -> list[MemoryQueue]:
        if message.exchange == "":
            queue = self._queues.get(message.routing_key)
            return [] if queue is None else [queue]
        exchange = self._exchanges.get(message.exchange)
        if exchange is None:
            return []
        bound = [b for b in self._bindings if b.exchange == exchange.name and _matches(exchange, b, message)]
        return [self._queues[name] for name in dict.fromkeys(b.queue for b in bound)]

    def _deliver(self, queue: MemoryQueue) -> None:
        while queue.entries:
            free = [s for s in queue.subscriptions if s.has_room]
            if not free:
                return
            chosen = max(free, key=lambda s: s.priority)
            queue.subscriptions.remove(chosen)
            queue.subscriptions.append(chosen)
            self._hand_over(heapq.heappop(queue.entries), chosen)

    def _hand_over(self, entry: Entry, subscription: Subscription) -> None:
        tag = next(self._counter)
        message = entry.message
        subscription.unsettled[tag] = entry
        subscription.buffer.append(
            Delivery(
                body=message.body,
                routing_key=message.routing_key,
                headers=dict(message.headers),
                priority=message.priority,
                redelivered=entry.redelivered,
                message_id=message.message_id,
                correlation_id=message.correlation_id,
                reply_to=message.reply_to,
                receipt=Receipt(subscription.session, tag),
            )
        )
        subscription.arrived()


def _matches(exchange: ExchangeSpec, binding: BindingSpec, message: OutgoingMessage) -> bool:
    if exchange.kind == "fanout":
        return True
    if exchange.kind == "topic":
        return _topic_matches(binding.routing_key.split("."), message.routing_key.split("."))
    return binding.routing_key == message.routing_key


def _topic_matches(pattern: list[str], key: list[str]) -> bool:
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(_topic_matches(pattern[1:], key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and _topic_matches(pattern[1:], key[1:])
