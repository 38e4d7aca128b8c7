"""`BlockingBroker`: RabbitMQ for threaded services, on pika.

One I/O thread owns the connection (`pika_io`). Users' threads hand it work and wait; it never runs their code, so
heartbeats do not starve however long a handler takes.

Order of shutdown: no more `take`; acknowledgements that were given before `close` go out; channels close (the broker
puts back what was not acknowledged); the connection closes; the thread ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Self

from shared.broker.delays import backoff
from shared.broker.errors import BrokerClosed, BrokerDenied, BrokerError, BrokerUnavailable, TopologyRefused, afresh
from shared.broker.pika_channels import ChannelJob, Done, Request, declare_requests
from shared.broker.pika_consumer import PikaConsumer
from shared.broker.pika_io import IoThread
from shared.broker.pika_publishing import ConfirmedPublisher, UnconfirmedPublisher
from shared.broker.pika_values import parameters_of
from shared.broker.port import OutgoingMessage, PublishResult, QueueDepth
from shared.broker.topology import Topology

_log = logging.getLogger(__name__)


class BlockingBroker:
    """Implements `BrokerPort`. Connects in the background from `start` (or `with`) on; see `wait_connected`.

    `url` as in `amqp://user:password@host:5672/vhost`; `name` appears in the broker's list of connections;
    `heartbeat` in seconds: pika gives up a silent peer within 2 × (`heartbeat` + 5) s. So long, too, the broker goes
    on delivering to a host that is lost: keep it short;
    `delays` makes the waiting times between attempts to connect.
    """

    def __init__(
        self, url: str, name: str, heartbeat: int = 10, delays: Callable[[], Iterator[float]] = backoff
    ) -> None:
        self._delays = delays
        self._state = threading.Condition()
        self._ready = False
        self._closed = False
        self._failure: BrokerError | None = None
        self._topology = Topology()
        self._consumers: list[PikaConsumer] = []  # the I/O thread's
        self._made: list[PikaConsumer] = []  # all that were given out: one may not have reached the I/O thread yet
        self._io = IoThread(parameters_of(url, name, heartbeat), name, delays, self._opened, self._lost)
        self._publisher = ConfirmedPublisher(self._io, delays, self._mark_ready)
        self._replies = UnconfirmedPublisher(self._io, delays)

    def start(self) -> Self:
        """Start connecting; returns at once."""
        self._io.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and the topology declared."""
        return self._ready

    def wait_connected(self, timeout: float) -> None:
        """Wait until connected. Raises `BrokerUnavailable` after `timeout` s, `BrokerDenied` at once."""
        with self._state:
            self._state.wait_for(
                lambda: self._ready or self._closed or isinstance(self._failure, BrokerDenied), timeout
            )
            self._require_ready()

    def declare(self, topology: Topology, timeout: float = 10.0) -> None:
        """Declare, and remember for every reconnection. Raises `BrokerUnavailable`, `TopologyRefused`."""
        self.wait_connected(timeout)
        self._ask(declare_requests(topology), timeout, lambda: self._remember(topology))

    def publish(self, messages: Sequence[OutgoingMessage], timeout: float = 10.0) -> list[PublishResult]:
        """Publish all, wait for the outcome of all. Raises `BrokerUnavailable` when none could be sent."""
        with self._state:
            self._require_ready()
        return self._publisher.publish(messages, timeout)

    def publish_unconfirmed(self, messages: Sequence[OutgoingMessage]) -> None:
        """Publish without waiting or knowing. Raises `BrokerUnavailable` without a connection."""
        with self._state:
            self._require_ready()
        self._replies.publish(messages)

    def consume(self, queue: str, prefetch: int, priority: int | None = None) -> PikaConsumer:
        """Consume, now or as soon as connected; with a higher `priority`, before other consumers of the queue."""
        consumer = PikaConsumer(self._io, queue, prefetch, priority, self._delays, self._declare_remembered)
        with self._state:
            if self._closed:
                raise BrokerClosed
            self._made.append(consumer)
        self._io.submit(partial(self._add_consumer, consumer))
        return consumer

    def queue_depths(self, names: Sequence[str], timeout: float = 5.0) -> dict[str, QueueDepth]:
        """The depth of each queue that exists. Raises `BrokerUnavailable`."""
        with self._state:
            self._require_ready()
        depths: dict[str, QueueDepth] = {}
        rest = list(names)
        while rest:
            found, error = self._run_job([partial(_ask_depth, name) for name in rest], timeout)
            if error is not None and not isinstance(error, TopologyRefused):
                raise error
            for name, frame in zip(rest, found, strict=False):
                depths[name] = QueueDepth(frame.method.message_count, frame.method.consumer_count)
            rest = rest[len(found) + 1 :]  # the first one without an answer does not exist
        return depths

    def close(self, timeout: float = 5.0) -> None:
        """Stop consuming, flush what was acknowledged, close. Idempotent."""
        with self._state:
            self._closed = True
            self._ready = False
            self._state.notify_all()
        for consumer in self._made:
            consumer.close()
        self._io.stop(timeout)
        self._publisher.close()

    def _require_ready(self) -> None:
        if self._closed:
            raise BrokerClosed
        if not self._ready:
            raise afresh(self._failure) if self._failure else BrokerUnavailable()

    def _ask(self, requests: Sequence[Request], timeout: float, on_success: Callable[[], None]) -> None:
        _, error = self._run_job(requests, timeout, on_success)
        if error is not None:
            raise error

    def _run_job(
        self, requests: Sequence[Request], timeout: float, on_success: Callable[[], None] = lambda: None
    ) -> tuple[list[Any], BrokerError | None]:
        answer: Future[tuple[list[Any], BrokerError | None]] = Future()

        def done(replies: list[Any], error: BrokerError | None) -> None:
            if error is None:
                on_success()
            answer.set_result((replies, error))

        self._io.submit(partial(self._start_job, requests, done))
        try:
            return answer.result(timeout)
        except TimeoutError:
            raise BrokerUnavailable(f"The broker gave no answer within {timeout} s.") from None

    def _start_job(self, requests: Sequence[Request], done: Done) -> None:
        connection = self._io.connection
        if connection is None:
            done([], self._failure or BrokerUnavailable())
        else:
            ChannelJob(connection, requests, done)

    # From here on: the I/O thread only.

    def _remember(self, topology: Topology) -> None:
        self._topology = self._topology.merged(topology)

    def _declare_remembered(self, connection: Any, done: Done) -> None:
        ChannelJob(connection, declare_requests(self._topology), done)

    def _add_consumer(self, consumer: PikaConsumer) -> None:
        self._consumers.append(consumer)
        if self._ready:
            consumer.attach(self._io.connection)

    def _opened(self, connection: Any) -> None:
        self._declare_remembered(connection, partial(self._declared, connection))

    def _declared(self, connection: Any, _replies: list[Any], error: BrokerError | None) -> None:
        if error is not None:
            self._io.drop(error)
            return
        self._replies.channel.attach(connection)
        self._publisher.channel.attach(connection)

    def _mark_ready(self) -> None:
        if self._ready or self._closed:
            return  # only the channel was renewed
        self._io.connected()
        with self._state:
            self._ready = True
            self._failure = None
            self._state.notify_all()
        for consumer in self._consumers:
            consumer.attach(self._io.connection)
        _log.info("Connected to the broker")

    def _lost(self, error: BrokerError) -> None:
        with self._state:
            self._ready = False
            self._failure = error
            self._state.notify_all()
        self._publisher.fail_waiting(error)


def _ask_depth(name: str, channel: Any, callback: Callable[[Any], None]) -> None:
    channel.queue_declare(name, passive=True, callback=callback)
