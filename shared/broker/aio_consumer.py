"""A consumer over aio-pika that keeps consuming: across connections, closed channels and deleted queues."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

from shared.broker.aio_values import declare_on, delivery_of, foreign_errors
from shared.broker.errors import BrokerClosed, BrokerError
from shared.broker.port import Delivery
from shared.broker.settling import settle
from shared.broker.topology import Topology

_log = logging.getLogger(__name__)

OPEN_SECONDS = 10.0
"""Time to open a channel, declare and start consuming."""

_sessions = itertools.count(1)


class Link(Protocol):
    """What a consumer needs of its broker."""

    async def connection(self) -> AbstractConnection:
        """The open connection, waiting for one."""

    def topology_of(self, queue: str) -> Topology:
        """What to declare before consuming from the queue."""


class AioConsumer:
    """Implements `AsyncConsumerPort`, with a channel of its own.

    A task opens it and, when it ends for whatever reason, opens it again. Each channel is a new session: deliveries
    of an earlier one are ignored when acknowledged, the broker delivers them again.
    """

    def __init__(
        self, link: Link, queue: str, prefetch: int, delays: Callable[[], Iterator[float]], *, acknowledges: bool = True
    ) -> None:
        self._link = link
        self._queue_name = queue
        self._prefetch = prefetch
        self._new_delays = delays
        self._acknowledges = acknowledges
        self._buffer: deque[Delivery] = deque()
        self._outstanding: dict[int, None] = {}
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._consuming = asyncio.Event()
        self._ended = asyncio.Event()
        self._changing = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._prepared: tuple[int, int] | None = None
        self._consumer_tag = ""
        self._session = 0
        self._broken = False
        self._closed = False
        self._task = asyncio.create_task(self._keep_consuming(), name=f"broker-consumer-{queue}")

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has this consumer now."""
        return self._consuming.is_set()

    async def wait_consuming(self) -> None:
        """Wait until the broker has this consumer."""
        await self._consuming.wait()

    async def get(self) -> Delivery:
        """The next delivery. Raises `BrokerClosed`. Safe to cancel: nothing is awaited after a delivery is taken."""
        while not self._buffer:
            if self._closed:
                raise BrokerClosed
            self._arrived.clear()
            await self._arrived.wait()
        return self._buffer.popleft()

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge; a delivery of an earlier session is ignored."""
        await self._settle(delivery, lambda channel, tag: channel.basic_ack(tag))

    async def nack(self, delivery: Delivery, requeue: bool = True) -> None:
        """Give back to the queue, or drop without `requeue`."""
        await self._settle(delivery, lambda channel, tag: channel.basic_nack(tag, requeue=requeue))

    async def pause(self) -> None:
        """Stop deliveries and give back the prefetched ones. What `get` has returned can still be acknowledged."""
        self._wanted.clear()
        async with self._changing:
            if self.is_consuming:
                await self._cancel()
            await self._give_back()

    async def resume(self) -> None:
        """Consume again after `pause`."""
        if self._closed:
            raise BrokerClosed
        self._wanted.set()

    async def set_prefetch(self, prefetch: int) -> None:
        """Consume with another prefetch.

        RabbitMQ applies a prefetch to consumers that start after it, so a running consumer is started anew.
        """
        self._prefetch = prefetch
        if self._wanted.is_set():
            await self.pause()
            await self.resume()

    async def close(self) -> None:
        """Stop for ever, giving back what is prefetched; ends every `get`."""
        if self._closed:
            return
        self._closed = True
        self._wanted.clear()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.pause()
        self._arrived.set()

    async def _keep_consuming(self) -> None:
        delays = self._new_delays()
        while True:
            await self._wanted.wait()
            connection = await self._link.connection()
            try:
                async with self._changing:
                    await self._open(connection)
            except BrokerError as error:
                delay = next(delays)
                facts = {"queue": self._queue_name, "reason": str(error), "retry_in_s": round(delay, 2)}
                _log.warning("Cannot consume", extra=facts)
                await self._drop_channel()
                await asyncio.sleep(delay)
                continue
            delays = self._new_delays()
            await self._ended.wait()
            if self._broken:
                await self._drop_channel()

    async def _open(self, connection: AbstractConnection) -> None:
        if not self._wanted.is_set():
            self._ended.set()
            return
        self._ended.clear()
        with foreign_errors():
            async with asyncio.timeout(OPEN_SECONDS):
                await self._start_consuming(connection)
        if not self._ended.is_set():
            self._consuming.set()

    async def _start_consuming(self, connection: AbstractConnection) -> None:
        channel = await self._usable_channel(connection)
        if self._queue is None or (self._session, self._prefetch) != self._prepared:
            self._queue = await self._prepare(channel)
        self._consumer_tag = await self._queue.consume(self._receiver(self._session), no_ack=not self._acknowledges)

    async def _prepare(self, channel: AbstractChannel) -> AbstractQueue:
        """Declare and set the prefetch. A pause leaves this as it is, unless the queue goes with its consumer."""
        topology = self._link.topology_of(self._queue_name)
        await declare_on(channel, topology)
        await channel.set_qos(prefetch_count=self._prefetch)
        lasts = not any(queue.auto_delete for queue in topology.queues)
        self._prepared = (self._session, self._prefetch) if lasts else None
        return await channel.get_queue(self._queue_name, ensure=False)

    async def _usable_channel(self, connection: AbstractConnection) -> AbstractChannel:
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        channel = connection.channel(publisher_confirms=False)
        await channel.initialize()
        session = self._session = next(_sessions)
        self._channel = channel
        self._buffer.clear()
        self._outstanding.clear()
        channel.close_callbacks.add(lambda *_: self._lost(session))
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _frame: self._lost(session))
        return channel

    def _lost(self, session: int) -> None:
        """The channel closed, or the broker cancelled the consumer."""
        if session == self._session:
            self._consuming.clear()
            self._broken = True
            self._ended.set()

    def _receiver(self, session: int) -> Callable[[AbstractIncomingMessage], Any]:
        async def receive(message: AbstractIncomingMessage) -> None:
            if session != self._session:
                return
            delivery = delivery_of(session, message)
            if self._acknowledges:
                self._outstanding[delivery.receipt.tag] = None
            if self._wanted.is_set():
                self._buffer.append(delivery)
                self._arrived.set()
            else:
                await self.nack(delivery)  # it crossed our cancel on the wire

        return receive

    async def _cancel(self) -> None:
        self._consuming.clear()
        self._ended.set()
        if self._queue is not None:
            try:
                with foreign_errors():
                    await self._queue.cancel(self._consumer_tag, timeout=5)
            except BrokerError:
                self._broken = True  # with the channel goes the consumer

    async def _give_back(self) -> None:
        while self._buffer:
            await self.nack(self._buffer.pop())

    async def _drop_channel(self) -> None:
        """Close the channel, so that the broker takes back all that is not acknowledged on it."""
        channel, self._channel = self._channel, None
        self._broken = False
        self._session = next(_sessions)
        self._consuming.clear()
        self._buffer.clear()
        self._outstanding.clear()
        if channel is not None and not channel.is_closed:
            with suppress(BrokerError), foreign_errors():
                await asyncio.wait_for(channel.close(), timeout=5)

    async def _settle(self, delivery: Delivery, act: Callable[[Any, int], Any]) -> None:
        channel = self._channel
        if channel is None or channel.is_closed or delivery.receipt.session != self._session:
            return
        if not settle(self._outstanding, (delivery.receipt.tag,)):
            return  # settled before; the broker would close the channel for a second time
        # A connection that is lost meanwhile is no error: the broker delivers the message again.
        with suppress(BrokerError), foreign_errors():
            await act(await channel.get_underlay_channel(), delivery.receipt.tag)
