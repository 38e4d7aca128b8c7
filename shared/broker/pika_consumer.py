"""A consumer over pika: the I/O thread fills a buffer, the user's threads empty it."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from shared.broker.errors import BrokerClosed, BrokerError
from shared.broker.pika_channels import Done, KeptChannel
from shared.broker.pika_io import IoThread
from shared.broker.pika_values import delivery_of
from shared.broker.port import Delivery
from shared.broker.settling import Step, settle

_sessions = itertools.count(1)


class PikaConsumer:
    """Implements `ConsumerPort`. A channel of its own carries it, so that the prefetch is its own.

    Each opened channel is a new session: tags of an earlier one mean nothing to the broker any more, and the
    messages behind them are delivered again.
    """

    def __init__(
        self,
        io: IoThread,
        queue: str,
        prefetch: int,
        priority: int | None,
        delays: Callable[[], Iterator[float]],
        prepare: Callable[[Any, Done], None],
    ) -> None:
        self._io = io
        self._queue = queue
        self._prefetch = prefetch
        self._arguments = {} if priority is None else {"x-priority": priority}
        self._kept = KeptChannel(io, delays, self._opened, self._gone, prepare)
        self._changed = threading.Condition()
        self._buffer: deque[Delivery] = deque()
        self._outstanding: dict[int, None] = {}
        self._session = 0
        self._consumer_tag: str | None = None
        self._stopped = False

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has this consumer now."""
        return self._consumer_tag is not None

    def wait_consuming(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until the broker has this consumer."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_consuming, timeout)

    def take(self, max_items: int, timeout: float) -> list[Delivery]:
        """Up to `max_items`, as soon as there is one; empty after `timeout` seconds. Raises `BrokerClosed`."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._stopped, timeout)
            if self._stopped:
                raise BrokerClosed
            return [self._buffer.popleft() for _ in range(min(max_items, len(self._buffer)))]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge; deliveries of an earlier session are ignored."""
        self._settle(deliveries, lambda channel, step: channel.basic_ack(step.tag, step.multiple))

    def nack(self, deliveries: Sequence[Delivery], requeue: bool = True) -> None:
        """Give back to the queue, or drop without `requeue`."""
        self._settle(deliveries, lambda channel, step: channel.basic_nack(step.tag, step.multiple, requeue))

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more, give back what nobody took; what was taken can still be acknowledged."""
        self.close()
        cancelled = threading.Event()
        self._io.submit(partial(self._cancel, cancelled))
        cancelled.wait(timeout)

    def close(self) -> None:
        """End every `take`; the broker's connection is about to close. Any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def attach(self, connection: Any) -> None:
        """A connection is open: consume on it. I/O thread."""
        if not self._stopped:
            self._kept.attach(connection)

    def _settle(self, deliveries: Sequence[Delivery], act: Callable[[Any, Step], None]) -> None:
        with self._changed:
            session = self._session
            tags = {d.receipt.tag for d in deliveries if d.receipt.session == session}
            steps = settle(self._outstanding, tags)
            if steps:
                # Under the lock: two threads' steps must reach the channel in the order they were computed.
                self._io.submit(partial(self._send_steps, session, steps, act))

    def _send_steps(self, session: int, steps: list[Step], act: Callable[[Any, Step], None]) -> None:
        channel = self._kept.open_channel
        if channel is None or session != self._session:
            return
        for step in steps:
            act(channel, step)

    def _opened(self, channel: Any) -> None:
        with self._changed:
            self._session = next(_sessions)
        channel.add_on_cancel_callback(self._cancelled_by_broker)
        channel.basic_qos(prefetch_count=self._prefetch, callback=partial(self._consume, channel))

    def _consume(self, channel: Any, _frame: Any) -> None:
        if not self._stopped:
            received = partial(self._received, self._session)
            channel.basic_consume(self._queue, received, arguments=self._arguments, callback=self._consuming)

    def _consuming(self, frame: Any) -> None:
        self._kept.proved()
        self._set_consumer(frame.method.consumer_tag)
        if self._stopped:
            self._cancel(threading.Event())  # stopped while the consumer was being opened

    def _received(self, session: int, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        delivery = delivery_of(session, method, properties, body)
        with self._changed:
            self._outstanding[method.delivery_tag] = None
            self._buffer.append(delivery)
            self._changed.notify()

    def _cancelled_by_broker(self, _frame: Any) -> None:
        # The queue was deleted or its node failed: declare it again and consume anew, on a new channel.
        self._set_consumer(None)
        self._kept.renew()

    def _gone(self, _error: BrokerError) -> None:
        with self._changed:
            self._session = next(_sessions)
            self._buffer.clear()
            self._outstanding.clear()
        self._set_consumer(None)

    def _set_consumer(self, tag: str | None) -> None:
        with self._changed:
            self._consumer_tag = tag
            self._changed.notify_all()

    def _cancel(self, cancelled: threading.Event) -> None:
        channel = self._kept.open_channel
        if channel is None or self._consumer_tag is None:
            cancelled.set()
            return
        channel.basic_cancel(self._consumer_tag, callback=partial(self._give_back, cancelled))

    def _give_back(self, cancelled: threading.Event, _frame: Any) -> None:
        self._set_consumer(None)
        with self._changed:
            waiting = list(self._buffer)
            self._buffer.clear()
        self.nack(waiting)
        cancelled.set()
