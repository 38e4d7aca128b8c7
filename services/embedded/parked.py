"""The parked messages: looked at, replayed or dropped. Whatever is not settled goes back where it was."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from services.embedded.errors import EmbeddedError
from shared import names
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, ConsumerPort, Delivery, Outcome, PublishResult
from shared.codec import Unreadable, from_json
from shared.messages.parking import QUEUE_HEADER, REASON_HEADER, unparked

MOST = 65_535
"""Messages that are held at a time: AMQP counts a prefetch in two bytes."""
_NUMBER_DIGITS = 7
_SHORTEST_PREFIX = 4


class NoSuchParked(EmbeddedError):
    """No parked message is called so."""

    def __init__(self, which: str, held: int) -> None:
        self.which = which
        there = f"there are {held}" if held else "there is none"
        super().__init__(f"No parked message is called {which!r}: {there}; see `lossline parked list`.")


class AmbiguousParked(EmbeddedError):
    """Several parked messages are called so."""

    def __init__(self, which: str, ids: Sequence[str]) -> None:
        self.which = which
        super().__init__(f"{which!r} may be any of {', '.join(ids)}: give more of the id.")


@dataclass(frozen=True)
class ParkedMessage:
    """One parked message and its place in the queue, counted from 1. The place changes when others are settled."""

    number: int
    delivery: Delivery

    @property
    def message_id(self) -> str:
        """The id that it had before it was parked, where it had one."""
        return self.delivery.message_id or ""

    @property
    def queue(self) -> str:
        """Where it came from; empty where nobody knows."""
        return self.delivery.headers.get(QUEUE_HEADER, "")

    @property
    def reason(self) -> str:
        """Why it was parked."""
        return self.delivery.headers.get(REASON_HEADER, "")

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return len(self.delivery.body)

    @cached_property
    def plain(self) -> Any:
        """The body as JSON values. Raises Unreadable."""
        return from_json(self.delivery.body)

    @property
    def kind(self) -> str:
        """The name of the message that it claims to be; empty where it cannot be told."""
        try:
            kind = self.plain.get("type") if isinstance(self.plain, dict) else None
        except Unreadable:
            return ""
        return kind if isinstance(kind, str) else ""

    def body_text(self) -> str:
        """The body for people: indented where it is JSON, else as text with its odd bytes escaped."""
        try:
            return json.dumps(self.plain, indent=2, ensure_ascii=False)
        except (Unreadable, RecursionError):
            return self.delivery.body.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Replay:
    """What became of a message that was to be replayed; `problem` is empty where it has left the parking queue."""

    message: ParkedMessage
    problem: str = ""


class ParkedMessages:
    """Holds what is parked while entered, at most `limit` from the front; nobody else gets these messages meanwhile.

    `patience` (s) is how long to wait for messages that the broker has counted but another command holds.
    Raises BrokerError.
    """

    def __init__(self, broker: BrokerPort, limit: int = MOST, patience: float = 2.0) -> None:
        self._broker = broker
        self._limit = limit
        self._patience = patience
        self._consumer: ConsumerPort | None = None
        self._open: dict[int, ParkedMessage] = {}
        self.total = 0
        """How many were parked, those beyond the limit too."""

    def __enter__(self) -> Self:
        depth = self._broker.queue_depths([names.PARKED_QUEUE]).get(names.PARKED_QUEUE)
        self.total = depth.messages if depth else 0
        if wanted := min(self.total, self._limit):
            self._consumer = self._broker.consume(names.PARKED_QUEUE, prefetch=wanted)
            deliveries = self._take(self._consumer, wanted)
            self._open = {number: ParkedMessage(number, each) for number, each in enumerate(deliveries, 1)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._consumer is not None:
            self._consumer.stop()
            self._consumer.nack([message.delivery for message in self._open.values()])

    @property
    def messages(self) -> tuple[ParkedMessage, ...]:
        """What is held and has not been settled, in the order of the queue."""
        return tuple(self._open.values())

    def select(self, which: Sequence[str]) -> tuple[ParkedMessage, ...]:
        """The messages of these numbers, ids or beginnings of ids, each once, in the order of the queue.

        Raises NoSuchParked, AmbiguousParked.
        """
        chosen = {message.number for one in which for message in select(self.messages, one)}
        return tuple(message for message in self.messages if message.number in chosen)

    def replay(self, messages: Sequence[ParkedMessage]) -> tuple[Replay, ...]:
        """Publish each to the queue that it came from; it leaves the parking queue once the broker has it there.

        If this process dies in between, the message is on both queues: messages may be doubled, never lost.
        """
        return tuple(self._replay(message) for message in messages)

    def drop(self, messages: Sequence[ParkedMessage]) -> None:
        """Remove them for good."""
        self._settle(messages)

    def _replay(self, message: ParkedMessage) -> Replay:
        again = unparked(message.delivery)
        if again is None:
            return Replay(message, "it does not say which queue it came from; look at it, and drop it")
        (result,) = self._broker.publish([again])
        if not result.confirmed:
            return Replay(message, _problem(message.queue, result))
        self._settle([message])
        return Replay(message)

    def _settle(self, messages: Sequence[ParkedMessage]) -> None:
        if self._consumer is not None:
            self._consumer.ack([message.delivery for message in messages])
        for message in messages:
            del self._open[message.number]

    def _take(self, consumer: ConsumerPort, wanted: int) -> list[Delivery]:
        if not consumer.wait_consuming(10):
            raise BrokerUnavailable(f"The broker does not deliver the messages of {names.PARKED_QUEUE}.")
        taken: list[Delivery] = []
        while len(taken) < wanted and (more := consumer.take(wanted - len(taken), self._patience)):
            taken += more
        return taken


def select(messages: Sequence[ParkedMessage], which: str) -> list[ParkedMessage]:
    """The message of this number, id or beginning of an id (several where a message was parked twice).

    Raises NoSuchParked, AmbiguousParked.
    """
    if which.isdecimal() and len(which) <= _NUMBER_DIGITS:
        found = [message for message in messages if message.number == int(which)]
    else:
        found = [message for message in messages if which and message.message_id == which]
        if not found and len(which) >= _SHORTEST_PREFIX:
            found = [message for message in messages if message.message_id.startswith(which)]
    ids = sorted({message.message_id for message in found})
    if not found:
        raise NoSuchParked(which, len(messages))
    if len(ids) > 1:
        raise AmbiguousParked(which, ids)
    return found


def _problem(queue: str, result: PublishResult) -> str:
    if result.outcome is Outcome.RETURNED:
        return f"there is no queue {queue}; start what reads it, or drop the message"
    if result.outcome is Outcome.UNKNOWN:
        return (
            f"the broker did not answer ({result.reason}); it may or may not be on {queue}, and can be replayed again"
        )
    return f"the broker did not take it ({result.reason}); try again later"
