"""Messages that cannot be read are parked with the reason, never delivered round and round."""

from typing import Any
from uuid import UUID

from shared import names
from shared.broker.port import OutgoingMessage
from shared.codec import Unreadable, from_json


def parked(body: bytes, queue: str, reason: str) -> OutgoingMessage:
    """The message for the parking queue; where it came from and why it is there stand in its headers."""
    return OutgoingMessage("", names.PARKED_QUEUE, body, headers={"queue": queue, "reason": reason})


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
