"""Messages that a change causes, as rows of the same transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from shared.database.execution import Outbox
from shared.messages.catalogue import Message
from shared.messages.envelope import encode

CHANNEL = "lossline_outbox"
"""The channel that NOTIFY wakes the relay on."""


_INSERT = insert(Outbox).inline()  # whose ids nobody asks for
_NOTIFY = text(f"NOTIFY {CHANNEL}")


@dataclass(frozen=True)
class Posting:
    """A message and where it goes. `copies` of it are published, none before `not_before`."""

    message: Message
    routing_key: str
    exchange: str = ""
    priority: int = 0
    copies: int = 1
    mandatory: bool = True
    not_before: datetime | None = None


def post(connection: Connection | Session, postings: Iterable[Posting]) -> None:
    """Write the messages into the outbox of this transaction and wake the relay when it commits."""
    rows = [_row(posting) for posting in postings]
    if not rows:
        return
    connection.execute(_INSERT, rows)
    connection.execute(_NOTIFY)


def _row(posting: Posting) -> dict[str, object]:
    return {
        "exchange": posting.exchange,
        "routing_key": posting.routing_key,
        "priority": posting.priority,
        "mandatory": posting.mandatory,
        "copies": posting.copies,
        "not_before": posting.not_before,
        "body": encode(posting.message),
    }
