"""The broker's side of the tests: a server in memory, and a worker that says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from services.task_controller.heartbeats import Heartbeats
from shared import names
from shared.broker.port import BrokerPort, OutgoingMessage
from shared.broker.topology import QueueSpec, Topology
from shared.messages.catalogue import AttemptBeat, AttemptFinished, BeatAnswered, Grant, Message, WorkerBeat
from shared.messages.envelope import decode, encode
from shared.service import threads
from shared.topology import work_queue
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.world import MODEL_QUEUE


@dataclass
class Talker:
    """A worker's end of the wire."""

    server: MemoryServer
    worker_id: str = "w1"
    beats_answered: int = 0
    broker: MemoryBroker = field(init=False)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.server)
        own = QueueSpec(names.worker_queue(self.worker_id), durable=False, exclusive=True, auto_delete=True)
        self.broker.declare(Topology(queues=(own,)))
        self._answers = self.broker.consume(own.name, prefetch=1000)

    def say(self, *messages: Message | bytes, to: str = names.TASK_CONTROLLER_QUEUE) -> None:
        """Send messages, or bytes that are none."""
        bodies = [message if isinstance(message, bytes) else encode(message) for message in messages]
        self.broker.publish([OutgoingMessage("", to, body) for body in bodies])

    def beat(self, *running: Grant | AttemptBeat, finished: tuple[AttemptFinished, ...] = (), **more: Any) -> None:
        """Send a heartbeat."""
        beats = tuple(each if isinstance(each, AttemptBeat) else AttemptBeat(each.attempt_id) for each in running)
        values: dict[str, Any] = {"queue": MODEL_QUEUE, "host": "here", "slots": 2, "free_slots": 1} | more
        self.say(WorkerBeat(self.worker_id, running=beats, finished=finished, **values), to=names.HEARTBEAT_QUEUE)

    def hears(self, timeout: float = 10.0) -> Message | None:
        """The next answer; those that only say that a heartbeat was heard are counted and passed over."""
        while taken := self._answers.take(1, timeout):
            self._answers.ack(taken)
            message = decode(taken[0].body)
            if not isinstance(message, BeatAnswered):
                return message
            self.beats_answered += 1
        return None


def bodies_in(server: MemoryServer, queue: str) -> list[bytes]:
    """Everything that waits in a queue, taken out of it."""
    broker = MemoryBroker(server)
    broker.declare(Topology(queues=(_spec(queue),)))
    consumer = broker.consume(queue, prefetch=100_000)
    taken = consumer.take(100_000, timeout=0.0)
    consumer.ack(taken)
    broker.close()
    return [delivery.body for delivery in taken]


def _spec(queue: str) -> QueueSpec:
    return QueueSpec(queue) if queue == names.PARKED_QUEUE else work_queue(queue)


def heard(heartbeats: Heartbeats) -> None:
    """Handle the heartbeats that wait, in one batch."""
    deliveries = heartbeats.consumer.take(1000, timeout=10.0)
    heartbeats.handle(deliveries)


@contextmanager
def running(**loops: Callable[[Event], None]) -> Iterator[Event]:
    """The loops run in threads while inside, and none of them fails."""
    stopping = Event()
    with threads(stopping, **loops) as failed:
        yield stopping
        assert failed() is None, f"the loop {failed()} has failed"


class Wrapped:
    """A broker whose `publish` a test replaces; everything else is passed on."""

    def __init__(self, broker: BrokerPort, publish: Callable[..., Any]) -> None:
        self._broker = broker
        self.publish = publish

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)
