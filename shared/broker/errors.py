"""Errors of the broker port. Both adapters raise these and nothing of pika, aio-pika or sockets.

BrokerError
├── BrokerUnavailable    retryable: no connection now, or it was lost on the way
│   └── QueueLocked      retryable: an exclusive queue still belongs to another connection
├── BrokerDenied         fatal: user, password, permissions, virtual host, or the broker's certificate
├── BrokerClosed         fatal: this client was closed by its owner
├── TopologyRefused      fatal: a declaration contradicts what exists, or names what does not exist
├── Unroutable           the message reached no queue
└── NotAccepted          retryable: the broker refused to take the message (basic.nack)
"""

from __future__ import annotations

import ssl
from typing import ClassVar

ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530


class BrokerError(Exception):
    """The broker could not do what was asked."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class BrokerUnavailable(BrokerError):
    """There is no connection to the broker at the moment; it is being renewed. Try again later."""

    retryable = True


class QueueLocked(BrokerUnavailable):
    """The queue is exclusive to another connection; the broker frees it when that connection ends."""


class BrokerDenied(BrokerError):
    """The broker refused us. Check the user, the password and the virtual host of the broker's URL."""


class BrokerClosed(BrokerError):
    """This broker client, or this consumer, has been closed and cannot be used any more."""


class TopologyRefused(BrokerError):
    """The broker refused a declaration: something of that name exists with other properties, or is missing."""


class Unroutable(BrokerError):
    """The message reached no queue: no binding, or no exchange, matches it."""

    def __init__(self, exchange: str, routing_key: str, reason: str) -> None:
        super().__init__(
            f"No queue took the message for exchange '{exchange}', routing key '{routing_key}': {reason}. "
            "Declare the queue and its binding first."
        )
        self.exchange = exchange
        self.routing_key = routing_key


class NotAccepted(BrokerError):
    """The broker refused to take the message (basic.nack), usually because a queue failed. Try again later."""

    retryable = True


def channel_error(code: int, text: str) -> BrokerError:
    """The error for a channel that the broker closed with this AMQP reply code and text."""
    if code == ACCESS_REFUSED:
        return BrokerDenied(f"The broker refused access: {text}. Check the permissions of the broker's user.")
    if code == RESOURCE_LOCKED:
        return QueueLocked(f"The queue is exclusive to another connection: {text}")
    if code in (NOT_FOUND, PRECONDITION_FAILED):
        return TopologyRefused(f"The broker refused: {text}")
    return BrokerUnavailable(f"The broker closed the channel: {code} {text}")


def connection_error(code: int, text: str) -> BrokerError:
    """The error for a connection that the broker closed, or refused to open, with this reply code and text."""
    if code in (ACCESS_REFUSED, NOT_ALLOWED):
        return BrokerDenied(
            f"The broker refused the connection: {text}. Check the user, the password and the virtual host of its URL."
        )
    return BrokerUnavailable(f"The broker closed the connection: {code} {text}")


def tls_error(error: ssl.SSLError) -> BrokerError:
    """The error for a connection that TLS has refused: a certificate that is not trusted stays so."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerDenied(
            f"The broker's certificate is not trusted: {error.verify_message}. OASIS_CELERY_BROKER_SSL_CA_CERTS must "
            "name the authority that has signed it, and the certificate must name the host of the broker's URL."
        )
    return BrokerUnavailable(
        f"The broker and we do not agree on TLS: {error.reason or error}. Does it speak TLS at this port, and does it "
        "ask for a certificate of ours?"
    )


def names_missing_exchange(text: str, exchange: str) -> bool:
    """Whether a channel's 404 text blames this exchange: a publish to it closed the channel."""
    return f"no exchange '{exchange}'" in text


def afresh(error: BrokerError) -> BrokerError:
    """The same error as a new object: one that many threads raise would collect all their tracebacks."""
    return type(error)(str(error))
