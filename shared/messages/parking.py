"""Messages that cannot be read are parked with the reason, never delivered round and round."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID

from shared import names
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery, OutgoingMessage
from shared.codec import Unreadable, from_json

QUEUE_HEADER = "queue"
REASON_HEADER = "reason"
_LONGEST_HEADER = 1000
_MOST_HEADERS = 32
"""Headers share one frame, which the broker limits: a message must not be too large to be parked."""


def parked(body: bytes, queue: str, reason: str, original: Delivery | None = None) -> OutgoingMessage:
    """The message for the parking queue; where it came from and why it is there stand in its headers.

    With `original` it keeps its id, priority, headers, correlation and reply address, so that `unparked` gives the
    message as it was; without, only its body.
    """
    why = reason.encode("utf-8", "backslashreplace").decode()[:_LONGEST_HEADER]
    message = OutgoingMessage("", names.PARKED_QUEUE, body, headers={QUEUE_HEADER: queue, REASON_HEADER: why})
    if original is None:
        return message
    return replace(
        message,
        priority=original.priority,
        headers={**_short(original.headers), **message.headers},
        message_id=original.message_id or message.message_id,
        correlation_id=original.correlation_id,
        reply_to=original.reply_to,
    )


def park(broker: BrokerPort, body: bytes, queue: str, reason: str, original: Delivery | None = None) -> None:
    """Put a message aside, confirmed: whoever acknowledges it afterwards loses nothing. Raises BrokerUnavailable."""
    (result,) = broker.publish([parked(body, queue, reason, original)])
    if not result.confirmed:
        raise BrokerUnavailable(f"A message that cannot be read could not be parked: {result.reason}")


def unparked(delivery: Delivery) -> OutgoingMessage | None:
    """A parked message for the queue that it came from, or None where it does not say which that was."""
    queue = delivery.headers.get(QUEUE_HEADER)
    if not queue:
        return None
    headers = {name: value for name, value in delivery.headers.items() if name not in (QUEUE_HEADER, REASON_HEADER)}
    message = OutgoingMessage("", queue, delivery.body, priority=delivery.priority, headers=headers)
    return replace(
        message,
        message_id=delivery.message_id or message.message_id,
        correlation_id=delivery.correlation_id,
        reply_to=delivery.reply_to,
    )


def attempt_named_in(body: bytes) -> tuple[UUID, str] | None:
    """The attempt and the worker that an unreadable AttemptFinished still names, or None."""
    try:
        envelope: Any = from_json(body)
        fields = envelope["body"]
        if envelope["type"] != "AttemptFinished":
            return None
        return UUID(fields["attempt_id"]), str(fields["worker_id"])
    except (Unreadable, KeyError, TypeError, ValueError, AttributeError):
        return None


def _short(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(islice(((k, v) for k, v in headers.items() if len(v) <= _LONGEST_HEADER), _MOST_HEADERS))
