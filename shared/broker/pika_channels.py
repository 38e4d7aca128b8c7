"""Channels on the I/O thread: short-lived ones for a list of requests, and long-lived ones that are reopened.

Everything in this module runs on the I/O thread only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pika.exceptions import ChannelClosedByClient  # type: ignore[import-untyped]

from shared.broker.errors import BrokerError, BrokerUnavailable
from shared.broker.pika_io import IoThread
from shared.broker.pika_values import error_of
from shared.broker.topology import Topology

_log = logging.getLogger(__name__)

Request = Callable[[Any, Callable[[Any], None]], None]
"""Sends one synchronous method on a channel; its reply goes to the callback."""

Done = Callable[[list[Any], BrokerError | None], None]
"""Gets the replies so far and, if the broker refused the next request, why."""


def declare_requests(topology: Topology) -> list[Request]:
    """Exchanges, then queues, then bindings."""
    requests: list[Request] = [
        lambda ch, cb, e=e: ch.exchange_declare(e.name, e.kind, durable=e.durable, callback=cb)  # type: ignore[misc]
        for e in topology.exchanges
    ]
    requests += [
        lambda ch, cb, q=q: ch.queue_declare(  # type: ignore[misc]
            q.name,
            durable=q.durable,
            exclusive=q.exclusive,
            auto_delete=q.auto_delete,
            arguments=q.declare_arguments,
            callback=cb,
        )
        for q in topology.queues
    ]
    requests += [
        lambda ch, cb, b=b: ch.queue_bind(b.queue, b.exchange, b.routing_key, callback=cb)  # type: ignore[misc]
        for b in topology.bindings
    ]
    return requests


class ChannelJob:
    """A channel of its own for a list of requests, one after another; `done` is called exactly once.

    On a channel of its own, because the broker answers a refused request by closing the channel.
    """

    def __init__(self, connection: Any, requests: Sequence[Request], done: Done) -> None:
        self._requests = requests
        self._replies: list[Any] = []
        self._done = done
        self._channel = connection.channel(on_open_callback=self._next)
        self._channel.add_on_close_callback(self._closed)

    def _next(self, _channel: Any) -> None:
        if self._finished:
            self._channel.close()
        else:
            self._requests[len(self._replies)](self._channel, self._replied)

    def _replied(self, frame: Any) -> None:
        self._replies.append(frame)
        self._next(self._channel)

    def _closed(self, _channel: Any, reason: BaseException) -> None:
        self._done(self._replies, None if self._finished else error_of(reason))

    @property
    def _finished(self) -> bool:
        return len(self._replies) == len(self._requests)


class KeptChannel:
    """Keeps a channel open for as long as there is a connection: reopened, after a delay, when the broker closes it.

    `prepare(connection, done)` runs before each opening; `on_ready(channel)` after it; `on_gone(error)` when it is
    lost, also when `renew` gave it up.
    """

    def __init__(
        self,
        io: IoThread,
        delays: Callable[[], Iterator[float]],
        on_ready: Callable[[Any], None],
        on_gone: Callable[[BrokerError], None],
        prepare: Callable[[Any, Done], None] = lambda _connection, done: done([], None),
    ) -> None:
        self._io = io
        self._new_delays = delays
        self._delays = delays()
        self._on_ready = on_ready
        self._on_gone = on_gone
        self._prepare = prepare
        self._channel: Any = None

    @property
    def open_channel(self) -> Any:
        """The channel if it is open, else None."""
        return self._channel if self._channel is not None and self._channel.is_open else None

    def attach(self, connection: Any) -> None:
        """A new connection is there: open the channel on it."""
        self.proved()
        self._start(connection)

    def proved(self) -> None:
        """The channel does its work: the next loss starts with short delays again."""
        self._delays = self._new_delays()

    def renew(self) -> None:
        """Give this channel up and open another."""
        if self.open_channel is not None:
            self._channel.close()

    def _start(self, connection: Any) -> None:
        if connection.is_open and connection is self._io.connection:
            self._prepare(connection, partial(self._prepared, connection))

    def _prepared(self, connection: Any, _replies: list[Any], error: BrokerError | None) -> None:
        if error is not None:
            self._again(connection, error)
        elif connection.is_open:
            self._channel = connection.channel(on_open_callback=self._on_ready)
            self._channel.add_on_close_callback(partial(self._closed, connection))

    def _closed(self, connection: Any, _channel: Any, reason: BaseException) -> None:
        self._channel = None
        renewed = isinstance(reason, ChannelClosedByClient)
        error = BrokerUnavailable("The channel is being renewed.") if renewed else error_of(reason)
        self._on_gone(error)
        self._again(connection, error)

    def _again(self, connection: Any, error: BrokerError) -> None:
        if not connection.is_open:
            return
        delay = next(self._delays)
        _log.warning("A broker channel closed", extra={"reason": str(error), "retry_in_s": round(delay, 2)})
        self._io.call_later(delay, partial(self._start, connection))
