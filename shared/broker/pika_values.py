"""Between pika's values and ours."""

from __future__ import annotations

import ssl
from typing import Any

import pika  # type: ignore[import-untyped]
import pika.exceptions  # type: ignore[import-untyped]

from shared.broker.errors import BrokerError, BrokerUnavailable, channel_error, connection_error, tls_error
from shared.broker.port import Delivery, OutgoingMessage, Receipt
from shared.tls import split_tls

PERSISTENT = 2
TRANSIENT = 1


def parameters_of(url: str, name: str, heartbeat: int) -> Any:
    """pika's connection parameters; one attempt each, because the reconnect loop is ours. Raises BadPem."""
    plain, context = split_tls(url)
    parameters = pika.URLParameters(plain)
    parameters.ssl_options = context and pika.SSLOptions(context, parameters.host)
    parameters.heartbeat = heartbeat
    parameters.connection_attempts = 1
    parameters.socket_timeout = 5.0
    parameters.stack_timeout = 10.0
    parameters.client_properties = {"connection_name": name}
    return parameters


def properties_of(message: OutgoingMessage) -> Any:
    """The AMQP properties of a message."""
    return pika.BasicProperties(
        content_type="application/octet-stream",
        headers=dict(message.headers) or None,
        delivery_mode=PERSISTENT if message.persistent else TRANSIENT,
        priority=message.priority,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        expiration=None if message.expiration_ms is None else str(message.expiration_ms),
        message_id=message.message_id,
    )


def delivery_of(session: int, method: Any, properties: Any, body: bytes) -> Delivery:
    """A delivery from basic.deliver, its properties and its body."""
    return Delivery(
        body=body,
        routing_key=method.routing_key,
        headers={key: str(value) for key, value in (properties.headers or {}).items()},
        priority=properties.priority or 0,
        redelivered=method.redelivered,
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        reply_to=properties.reply_to,
        receipt=Receipt(session, method.delivery_tag),
    )


def error_of(reason: BaseException) -> BrokerError:
    """The error of ours for one of pika's, or for a broken socket."""
    reason = _innermost(reason)
    if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
        return channel_error(reason.reply_code, reason.reply_text)
    if isinstance(reason, pika.exceptions.ConnectionClosedByBroker):
        return connection_error(reason.reply_code, reason.reply_text)
    if isinstance(reason, (pika.exceptions.ProbableAuthenticationError, pika.exceptions.ProbableAccessDeniedError)):
        return _probable(str(reason.args))
    if isinstance(reason, ssl.SSLError):
        return tls_error(reason)
    # Not repr(): some of pika's own fail when their arguments are not what they expect.
    return BrokerUnavailable(f"The broker cannot be reached: {type(reason).__name__} {reason.args}")


def _innermost(reason: BaseException) -> BaseException:
    # A failed connection arrives wrapped up to three times, each layer with its own way to hold the inner error.
    while True:
        inner = (*getattr(reason, "exceptions", ()), getattr(reason, "exception", None), *reason.args[:1])
        nested = [error for error in inner if isinstance(error, BaseException)]
        if not nested:
            return reason
        reason = nested[-1]


def _probable(text: str) -> BrokerError:
    # pika calls every end of the connection in these phases "probable"; a broker that died there is not a refusal.
    for code in (403, 530):
        if f"({code})" in text:
            return connection_error(code, text)
    return BrokerUnavailable(f"The broker hung up while the connection was being opened: {text}")
