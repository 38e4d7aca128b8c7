"""Between aio-pika's values and ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from shared.broker import errors
from shared.broker.errors import (
    BrokerDenied,
    BrokerError,
    BrokerUnavailable,
    channel_error,
    connection_error,
    tls_error,
)
from shared.broker.port import Delivery, OutgoingMessage, Receipt
from shared.broker.topology import Topology

_CODES: dict[type[AMQPError], int] = {
    ChannelAccessRefused: errors.ACCESS_REFUSED,
    ChannelNotFoundEntity: errors.NOT_FOUND,
    ChannelLockedResource: errors.RESOURCE_LOCKED,
    ChannelPreconditionFailed: errors.PRECONDITION_FAILED,
}

FOREIGN = (AMQPError, ChannelInvalidStateError, TimeoutError, OSError, RuntimeError)
"""What aio-pika and the sockets below it raise."""


def wire_message(message: OutgoingMessage) -> Message:
    """aio-pika's message. Its expiration is in seconds."""
    return Message(
        body=message.body,
        headers=dict(message.headers),
        content_type="application/octet-stream",
        delivery_mode=DeliveryMode.PERSISTENT if message.persistent else DeliveryMode.NOT_PERSISTENT,
        priority=message.priority,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        expiration=None if message.expiration_ms is None else message.expiration_ms / 1000,
        message_id=message.message_id,
    )


def delivery_of(session: int, message: AbstractIncomingMessage) -> Delivery:
    """A delivery from an incoming message."""
    return Delivery(
        body=message.body,
        routing_key=message.routing_key or "",
        headers={key: str(value) for key, value in message.headers.items()},
        priority=message.priority or 0,
        redelivered=bool(message.redelivered),
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        receipt=Receipt(session, message.delivery_tag or 0),
    )


async def declare_on(channel: AbstractChannel, topology: Topology) -> None:
    """Declare exchanges, then queues, then bindings."""
    for exchange in topology.exchanges:
        await channel.declare_exchange(exchange.name, exchange.kind, durable=exchange.durable)
    for queue in topology.queues:
        await channel.declare_queue(
            queue.name,
            durable=queue.durable,
            exclusive=queue.exclusive,
            auto_delete=queue.auto_delete,
            arguments=dict(queue.declare_arguments),
        )
    for binding in topology.bindings:
        bound = await channel.get_queue(binding.queue, ensure=False)
        await bound.bind(binding.exchange, binding.routing_key)


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Turns what aio-pika raises in the block into errors of ours."""
    try:
        yield
    except BrokerError:
        raise
    except asyncio.CancelledError:
        # aiormq ends waiting calls with CancelledError when the connection goes; only a real cancel may pass.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailable("The connection to the broker was lost.") from None
    except FOREIGN as error:
        raise error_of(error) from error


def error_of(error: BaseException) -> BrokerError:
    """The error of ours for one of aio-pika's, or for a broken socket."""
    code = _CODES.get(type(error))  # type: ignore[arg-type]
    if code is not None:
        return channel_error(code, str(error))
    if isinstance(error, (ProbableAuthenticationError, AuthenticationError)):
        return connection_error(errors.ACCESS_REFUSED, str(error))
    if isinstance(error, ConnectionNotAllowed):
        return connection_error(errors.NOT_ALLOWED, str(error))
    if _refused_vhost(error):
        return connection_error(errors.NOT_ALLOWED, "it closed the connection when asked for the virtual host")
    if (refused := _tls_of(error)) is not None:
        return tls_error(refused)
    if isinstance(error, TimeoutError):
        return BrokerUnavailable("The broker gave no answer in time.")
    # Not repr(): some of aiormq's own fail when their arguments are not what they expect.
    return BrokerUnavailable(f"The broker cannot be reached: {type(error).__name__} {error.args}")


def _tls_of(error: BaseException | None) -> ssl.SSLError | None:
    """aiormq hides what TLS has said behind an error of its own. Raised anew, errors may lead back to themselves."""
    seen: set[int] = set()
    while error is not None and not isinstance(error, ssl.SSLError):
        if id(error) in seen:
            return None
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return error


def _refused_vhost(error: BaseException) -> bool:
    # aiormq drops the reason of a connection.close that answers connection.open; it shows as a wrong frame.
    text = str(error.args)
    return isinstance(error, InvalidFrameError) and "Connection.OpenOk" in text and "Connection.Close" in text


def is_denied(error: BaseException | None) -> bool:
    """Whether trying again cannot help."""
    return isinstance(error, BrokerDenied)
