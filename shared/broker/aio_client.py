"""`AsyncBroker`: RabbitMQ for asyncio services, on aio-pika.

The reconnect loop is ours: aio-pika's "robust" connection can come back without its consumers. Here a connection
lives once; when it ends, everything on it is thrown away and built again from the remembered topology.

Order of shutdown: consumers stop and give back what is prefetched; the reconnect loop ends; the connection closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq.exceptions import ChannelNotFoundEntity
from yarl import URL

from shared.broker.aio_channels import KeptChannel
from shared.broker.aio_consumer import AioConsumer
from shared.broker.aio_values import declare_on, error_of, foreign_errors, is_denied, wire_message
from shared.broker.delays import backoff
from shared.broker.errors import (
    BrokerClosed,
    BrokerError,
    BrokerUnavailable,
    NotAccepted,
    TopologyRefused,
    Unroutable,
    afresh,
    names_missing_exchange,
)
from shared.broker.port import OutgoingMessage, QueueDepth
from shared.broker.topology import QueueSpec, Topology
from shared.tls import split_tls

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""Time for TCP, TLS and the AMQP handshake together."""


class AsyncBroker:
    """Implements `AsyncBrokerPort`. `async with` starts connecting and returns at once; see `wait_connected`.

    `url` and `name` as for `BlockingBroker`. `heartbeat` in seconds: aiormq gives up a silent peer after
    3 × (`heartbeat` + 1) s, so keep it short. `connected` is set while there is a connection with its topology.
    """

    def __init__(
        self, url: str, name: str, heartbeat: int = 5, delays: Callable[[], Iterator[float]] = backoff
    ) -> None:
        plain, self._tls = split_tls(url)
        self._url = URL(plain).update_query(heartbeat=str(heartbeat), name=name)
        self._name = name
        self._new_delays = delays
        self.connected = asyncio.Event()
        self._settled = asyncio.Event()
        self._failure: BrokerError | None = None
        self._connection: AbstractConnection | None = None
        self._confirming = KeptChannel(self._require_connection, confirms=True)
        self._plain = KeptChannel(self._require_connection, confirms=False)
        self._in_flight: dict[str, asyncio.Event] = {}
        self._topology = Topology()
        self._consumers: list[AioConsumer] = []
        self._callbacks: list[Callable[[], None]] = []
        self._was_connected = False
        self._lived = False
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_connected(), name=f"broker-{self._name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def wait_connected(self, timeout: float) -> None:
        """Wait until connected. Raises `BrokerUnavailable` after `timeout` s, `BrokerDenied` at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not (self.connected.is_set() or self._closed or is_denied(self._failure)):
                    self._settled.clear()
                    await self._settled.wait()
        self._require_connection()

    def on_reconnected(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every reconnection, topology declared; consumers resume on their own."""
        self._callbacks.append(callback)

    async def declare(self, topology: Topology, timeout: float = 10.0) -> None:
        """Declare, and remember for every reconnection. Raises `BrokerUnavailable`, `TopologyRefused`."""
        await self.wait_connected(timeout)
        connection = self._require_connection()
        with foreign_errors():
            async with asyncio.timeout(timeout), connection.channel(publisher_confirms=False) as channel:
                await declare_on(channel, topology)
        self._topology = self._topology.merged(topology)

    async def publish(self, message: OutgoingMessage, timeout: float = 10.0) -> None:
        """Publish, wait for the confirmation.

        Raises `Unroutable`, `NotAccepted`, and `BrokerUnavailable` when there is no connection, or when it was lost
        (or `timeout` seconds passed) before the confirmation: then the message may or may not arrive.
        """
        self._require_connection()
        # aiormq matches a returned message by its identifier, so one identifier is in flight once.
        while (other := self._in_flight.get(message.message_id)) is not None:
            await other.wait()
        answered = self._in_flight[message.message_id] = asyncio.Event()
        try:
            await self._publish(message, timeout)
        finally:
            del self._in_flight[message.message_id]
            answered.set()

    async def publish_unconfirmed(self, message: OutgoingMessage) -> None:
        """Publish without waiting or knowing. Raises `BrokerUnavailable` without a connection."""
        self._require_connection()
        wire = wire_message(message)
        with foreign_errors():
            channel = await self._plain.underlay()
            await channel.basic_publish(
                wire.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=wire.properties,
            )

    async def remove_one(self, queue: str) -> None:
        """Take one message off the queue, unread, if there is any. Raises `BrokerUnavailable`, `TopologyRefused`."""
        self._require_connection()
        with foreign_errors():
            async with asyncio.timeout(CONNECT_SECONDS):
                await (await self._plain.underlay()).basic_get(queue, no_ack=True)

    async def consume(self, queue: QueueSpec | str, prefetch: int, *, acknowledges: bool = True) -> AioConsumer:
        """Consume, now or as soon as connected. A `QueueSpec` is declared with it, each time.

        Without `acknowledges` the broker forgets what it delivers, and knows no prefetch.
        """
        if self._closed:
            raise BrokerClosed
        if isinstance(queue, QueueSpec):
            self._topology = self._topology.merged(Topology(queues=(queue,)))
        name = queue if isinstance(queue, str) else queue.name
        consumer = AioConsumer(self, name, prefetch, self._new_delays, acknowledges=acknowledges)
        self._consumers.append(consumer)
        return consumer

    async def queue_depths(self, names: Sequence[str]) -> dict[str, QueueDepth]:
        """The depth of each queue that exists. Raises `BrokerUnavailable`."""
        depths = {name: await self._depth(name) for name in names}
        return {name: depth for name, depth in depths.items() if depth is not None}

    async def close(self) -> None:
        """Stop consuming, give back what is prefetched, close. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._settled.set()
        await asyncio.gather(*(consumer.close() for consumer in self._consumers))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def connection(self) -> AbstractConnection:
        """The open connection, waiting for one. For consumers."""
        while self._connection is None:
            await self.connected.wait()
        return self._connection

    def topology_of(self, queue: str) -> Topology:
        """What to declare before consuming from the queue. For consumers."""
        return self._topology.of_queue(queue)

    def _require_connection(self) -> AbstractConnection:
        if self._closed:
            raise BrokerClosed
        if self._connection is None:
            raise afresh(self._failure) if self._failure else BrokerUnavailable()
        return self._connection

    async def _publish(self, message: OutgoingMessage, timeout: float) -> None:
        with foreign_errors():
            try:
                async with asyncio.timeout(timeout):
                    channel = await self._confirming.open()
                    exchange = await channel.get_exchange(message.exchange, ensure=False)
                    await exchange.publish(wire_message(message), message.routing_key, mandatory=message.mandatory)
            except PublishError as error:
                raise Unroutable(message.exchange, message.routing_key, str(error)) from None
            except DeliveryError as error:
                raise NotAccepted from error
            except ChannelNotFoundEntity as error:
                if names_missing_exchange(str(error), message.exchange):
                    raise Unroutable(message.exchange, message.routing_key, str(error)) from None
                raise BrokerUnavailable(f"The channel closed before the confirmation: {error}") from error

    async def _depth(self, name: str) -> QueueDepth | None:
        connection = self._require_connection()
        try:
            with foreign_errors():
                async with asyncio.timeout(CONNECT_SECONDS):
                    async with connection.channel(publisher_confirms=False) as channel:
                        answer = (await channel.declare_queue(name, passive=True)).declaration_result
        except TopologyRefused:
            return None
        return QueueDepth(answer.message_count or 0, answer.consumer_count or 0)

    async def _keep_connected(self) -> None:
        delays = self._new_delays()
        while True:
            try:
                with foreign_errors():
                    await self._live_once()
            except BrokerError as error:
                self._failure = error
                self._settled.set()
            if self._lived:
                self._lived = False
                delays = self._new_delays()
            delay = next(delays)
            facts = {"reason": str(self._failure), "retry_in_s": round(delay, 2)}
            _log.warning("No connection to the broker", extra=facts)
            await asyncio.sleep(delay)

    async def _live_once(self) -> None:
        """Connect, declare, and stay until the connection is lost; always ends with an error."""
        connection = await aio_pika.connect(self._url, timeout=CONNECT_SECONDS, ssl_context=self._tls)
        try:
            lost = _loss_of(connection)
            async with asyncio.timeout(CONNECT_SECONDS), connection.channel(publisher_confirms=False) as channel:
                await declare_on(channel, self._topology)
            self._now_connected(connection)
            reason = await lost
            raise error_of(reason or ConnectionResetError("the connection was closed"))
        finally:
            self._connection = None
            self.connected.clear()
            with suppress(BrokerError), foreign_errors():
                await asyncio.wait_for(connection.close(), timeout=5)

    def _now_connected(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._confirming.forget()
        self._plain.forget()
        self._failure = None
        self.connected.set()
        self._settled.set()
        _log.info("Connected to the broker")
        if self._was_connected:
            self._tell_reconnected()
        self._was_connected = self._lived = True

    def _tell_reconnected(self) -> None:
        for callback in self._callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - one callback must not keep the others, or us, from reconnecting
                _log.exception("A callback for the reconnection failed")


def _loss_of(connection: AbstractConnection) -> asyncio.Future[BaseException | None]:
    """Done when the connection is lost, with the reason if there is one."""
    lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def on_close(_connection: AbstractConnection | None, reason: BaseException | None) -> None:
        if not lost.done():
            lost.set_result(reason)

    connection.close_callbacks.add(on_close)
    return lost
