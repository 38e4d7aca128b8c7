"""Publishing over pika: confirmed, in batches that are sent at once, and unconfirmed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from shared.broker.confirms import ConfirmBook
from shared.broker.errors import BrokerClosed, BrokerError, BrokerUnavailable, afresh
from shared.broker.pika_channels import KeptChannel
from shared.broker.pika_io import IoThread
from shared.broker.pika_values import properties_of
from shared.broker.port import Outcome, OutgoingMessage, PublishResult

SLICE = 200
"""Messages sent between two looks at the socket, so that a large batch starves neither heartbeats nor others."""


def send(channel: Any, message: OutgoingMessage, mandatory: bool) -> None:
    """basic.publish."""
    channel.basic_publish(
        message.exchange, message.routing_key, message.body, properties_of(message), mandatory=mandatory
    )


class Batch:
    """Messages published together, and the outcomes so far. Settled on the I/O thread, awaited on the caller's."""

    def __init__(self, messages: Sequence[OutgoingMessage]) -> None:
        self.messages = messages
        self.refused: BrokerError | None = None
        self._results: list[PublishResult | None] = [None] * len(messages)
        self._open = len(messages)
        self._done = threading.Event()

    def settle(self, index: int, outcome: Outcome, reason: str) -> None:
        """The outcome of one message."""
        self._results[index] = PublishResult(self.messages[index].message_id, outcome, reason)
        self._open -= 1
        if self._open == 0:
            self._done.set()

    def settle_from(self, start: int, outcome: Outcome, reason: str) -> None:
        """The same outcome for all messages from `start` on."""
        for index in range(start, len(self.messages)):
            self.settle(index, outcome, reason)

    def refuse(self, error: BrokerError) -> None:
        """Not one message of it was sent."""
        self.refused = error
        self._done.set()

    def wait(self, timeout: float) -> list[PublishResult]:
        """The outcomes, after `timeout` seconds at the latest. Raises `BrokerError` if nothing was sent."""
        self._done.wait(timeout)
        if self.refused is not None:
            raise afresh(self.refused)
        late = f"no confirmation within {timeout} s"
        return [
            result or PublishResult(message.message_id, Outcome.UNKNOWN, late)
            for result, message in zip(list(self._results), self.messages, strict=True)
        ]


class ConfirmedPublisher:
    """One channel in confirm mode, shared by all threads."""

    def __init__(self, io: IoThread, delays: Callable[[], Iterator[float]], on_ready: Callable[[], None]) -> None:
        self._io = io
        self._tell_ready = on_ready
        self._book = ConfirmBook()
        self._waiting: deque[Batch] = deque()
        self._awaited: set[Batch] = set()
        self._confirming = False
        self.channel = KeptChannel(io, delays, self._opened, self._gone)

    def publish(self, messages: Sequence[OutgoingMessage], timeout: float) -> list[PublishResult]:
        """Send all, wait for all. Any thread."""
        if not messages:
            return []
        batch = Batch(messages)
        self._awaited.add(batch)
        try:
            self._io.submit(partial(self._begin, batch))
            return batch.wait(timeout)
        finally:
            self._awaited.discard(batch)

    def close(self) -> None:
        """The I/O thread has ended: release whoever still waits. Any thread."""
        for batch in tuple(self._awaited):
            batch.refuse(BrokerClosed())

    def fail_waiting(self, error: BrokerError) -> None:
        """The connection is lost: what has not begun will not be sent. I/O thread."""
        while self._waiting:
            self._waiting.popleft().refuse(error)

    def _begin(self, batch: Batch) -> None:
        if self._confirming:
            self._send_slice(batch, 0)
        elif self._io.connection is not None:
            self._waiting.append(batch)  # the channel is being opened again
        else:
            batch.refuse(BrokerUnavailable())

    def _send_slice(self, batch: Batch, start: int) -> None:
        channel = self.channel.open_channel
        if channel is None or not self._confirming:
            batch.settle_from(start, Outcome.UNKNOWN, "the connection was lost before the message was sent")
            return
        end = min(start + SLICE, len(batch.messages))
        for index in range(start, end):
            message = batch.messages[index]
            self._book.sent(message, partial(batch.settle, index))
            send(channel, message, message.mandatory)
        if end < len(batch.messages):
            self._io.submit(partial(self._send_slice, batch, end))

    def _opened(self, channel: Any) -> None:
        self._book = ConfirmBook()
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._answered, callback=self._ready)

    def _ready(self, _frame: Any) -> None:
        self._confirming = True
        self._tell_ready()
        for batch in tuple(self._waiting):
            self._waiting.popleft()
            self._send_slice(batch, 0)

    def _gone(self, error: BrokerError) -> None:
        self._confirming = False
        self._book.lost(str(error))

    def _returned(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        self._book.returned(properties.message_id, method.exchange, method.routing_key, method.reply_text)

    def _answered(self, frame: Any) -> None:
        method = frame.method
        if method.NAME == "Basic.Ack":
            self._book.acked(method.delivery_tag, method.multiple)
        else:
            self._book.nacked(method.delivery_tag, method.multiple)


class UnconfirmedPublisher:
    """One channel without confirmations, for replies: a lost one is asked for again."""

    def __init__(self, io: IoThread, delays: Callable[[], Iterator[float]]) -> None:
        self._io = io
        self.channel = KeptChannel(io, delays, lambda _channel: None, lambda _error: None)

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send all, know nothing. Any thread."""
        self._io.submit(partial(self._send, messages))

    def _send(self, messages: Sequence[OutgoingMessage]) -> None:
        channel = self.channel.open_channel
        if channel is None:
            return
        for message in messages:
            send(channel, message, mandatory=False)
