"""The broker port: messages, deliveries, results of publishing, and what services may ask of a broker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from shared.broker.topology import QueueSpec, Topology

MAX_SHORT_STRING = 255
"""Bytes: AMQP carries names, keys and identifiers as short strings."""


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to publish.

    `exchange` "" is the default exchange: the routing key is then the name of the queue. `mandatory` asks the broker
    to report a message that no queue takes. `expiration_ms` drops it from a queue after that time.

    Raises `ValueError` for what AMQP cannot carry, in the caller and not in the thread of the connection.
    """

    exchange: str
    routing_key: str
    body: bytes
    priority: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    persistent: bool = True
    mandatory: bool = True
    expiration_ms: int | None = None
    message_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    correlation_id: str | None = None
    reply_to: str | None = None

    def __post_init__(self) -> None:
        for name in ("exchange", "routing_key", "message_id", "correlation_id", "reply_to"):
            _check_short(name, getattr(self, name))
        for header in self.headers:
            _check_short("header", header)
        if not 0 <= self.priority <= MAX_SHORT_STRING:
            raise ValueError(f"priority must be 0 to 255, not {self.priority}")


def _check_short(name: str, value: str | None) -> None:
    if value is not None and len(value.encode()) > MAX_SHORT_STRING:
        raise ValueError(f"{name} is longer than {MAX_SHORT_STRING} bytes: {value[:40]}…")


@dataclass(frozen=True)
class Receipt:
    """What an acknowledgement needs. `session` is one life of a consumer: it ends with the connection."""

    session: int
    tag: int


@dataclass(frozen=True)
class Delivery:
    """A message as it arrived. Give it back to the consumer it came from, with `ack` or `nack`."""

    body: bytes
    routing_key: str
    headers: Mapping[str, str]
    priority: int
    redelivered: bool
    message_id: str | None
    correlation_id: str | None
    reply_to: str | None
    receipt: Receipt


class Outcome(Enum):
    """What became of a published message."""

    CONFIRMED = "confirmed"
    """The broker has it; if persistent and routed to a durable queue, on disk."""
    RETURNED = "returned"
    """No queue took it."""
    NACKED = "nacked"
    """The broker refused to take it."""
    UNKNOWN = "unknown"
    """No answer: the connection was lost, or the time was up. It may or may not arrive."""


@dataclass(frozen=True)
class PublishResult:
    """The outcome for one message, in the order of the call; `reason` says why it is not confirmed."""

    message_id: str
    outcome: Outcome
    reason: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether the broker has the message."""
        return self.outcome is Outcome.CONFIRMED


class QueueDepth(NamedTuple):
    """How many messages are ready in a queue (unacknowledged ones not counted), and how many consumers it has."""

    messages: int
    consumers: int


class ConsumerPort(Protocol):
    """A consumer of one queue, for threads."""

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has this consumer now; readiness looks at this, not at the socket."""

    def wait_consuming(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until the broker has this consumer."""

    def take(self, max_items: int, timeout: float) -> list[Delivery]:
        """Up to `max_items` that wait, as soon as there is one; empty after `timeout` s. Raises BrokerClosed."""

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge; deliveries of an earlier connection are ignored, the broker delivers them again."""

    def nack(self, deliveries: Sequence[Delivery], requeue: bool = True) -> None:
        """Give back to the queue (or drop, without `requeue`)."""

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more and give back what nobody took; what was taken can still be acknowledged."""


class BrokerPort(Protocol):
    """A broker, for threads. All methods are thread-safe."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and the topology declared."""

    def wait_connected(self, timeout: float) -> None:
        """Wait until connected. Raises BrokerUnavailable after `timeout` s, BrokerDenied at once."""

    def declare(self, topology: Topology, timeout: float = 10.0) -> None:
        """Declare, and remember for every reconnection. Raises BrokerUnavailable, TopologyRefused."""

    def publish(self, messages: Sequence[OutgoingMessage], timeout: float = 10.0) -> list[PublishResult]:
        """Publish all, then wait for the outcome of all. Raises BrokerUnavailable when none could be sent."""

    def publish_unconfirmed(self, messages: Sequence[OutgoingMessage]) -> None:
        """Publish without waiting or knowing. Raises BrokerUnavailable without a connection."""

    def consume(self, queue: str, prefetch: int, priority: int | None = None) -> ConsumerPort:
        """Consume, now or as soon as connected; at most `prefetch` unacknowledged deliveries at a time."""

    def queue_depths(self, names: Sequence[str], timeout: float = 5.0) -> dict[str, QueueDepth]:
        """The depth of each queue that exists. Raises BrokerUnavailable."""

    def close(self, timeout: float = 5.0) -> None:
        """Stop consuming, flush what was acknowledged, close. Idempotent."""


class AsyncConsumerPort(Protocol):
    """A consumer of one queue, for asyncio."""

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has this consumer now."""

    async def wait_consuming(self) -> None:
        """Wait until the broker has this consumer."""

    async def get(self) -> Delivery:
        """The next delivery. Safe to cancel: a delivery is never lost in it. Raises BrokerClosed."""

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge; a delivery of an earlier connection is ignored."""

    async def nack(self, delivery: Delivery, requeue: bool = True) -> None:
        """Give back to the queue (or drop, without `requeue`)."""

    async def pause(self) -> None:
        """Stop deliveries and give back the prefetched ones that `get` has not returned."""

    async def resume(self) -> None:
        """Consume again after `pause`."""

    async def set_prefetch(self, prefetch: int) -> None:
        """Consume with another prefetch; deliveries in hand no longer count against it."""


class AsyncBrokerPort(Protocol):
    """A broker, for asyncio."""

    async def wait_connected(self, timeout: float) -> None:
        """Wait until connected. Raises BrokerUnavailable after `timeout` s, BrokerDenied at once."""

    def on_reconnected(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every reconnection (not after the first connection)."""

    async def declare(self, topology: Topology, timeout: float = 10.0) -> None:
        """Declare, and remember for every reconnection. Raises BrokerUnavailable, TopologyRefused."""

    async def publish(self, message: OutgoingMessage, timeout: float = 10.0) -> None:
        """Publish and wait for the confirmation. Raises Unroutable, NotAccepted, BrokerUnavailable."""

    async def publish_unconfirmed(self, message: OutgoingMessage) -> None:
        """Publish without waiting or knowing. Raises BrokerUnavailable without a connection."""

    async def remove_one(self, queue: str) -> None:
        """Take one message off the queue, unread, if there is any. Raises BrokerUnavailable, TopologyRefused."""

    async def consume(self, queue: QueueSpec | str, prefetch: int, *, acknowledges: bool = True) -> AsyncConsumerPort:
        """Consume, now or as soon as connected; a `QueueSpec` is declared with it, each time.

        Without `acknowledges` the broker forgets what it delivers: for queues that go with their only consumer.
        """

    async def queue_depths(self, names: Sequence[str]) -> dict[str, QueueDepth]:
        """The depth of each queue that exists. Raises BrokerUnavailable."""

    async def close(self) -> None:
        """Stop consuming, give back what is prefetched, close. Idempotent."""
