"""One queue status as it goes to clients: read once, written as JSON once, however many listen."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from services.api.queue_status.message import FILTERED, content, message
from services.api.queue_status.numbers import QueueStatus
from services.api.queue_status.reading import read_queue_status


@dataclass(frozen=True)
class Snapshot:
    """The status of one moment, its content for comparing, and the message that everybody gets."""

    status: QueueStatus
    content: list[dict[str, Any]]
    text: str

    @property
    def version(self) -> int:
        """Grows with every snapshot."""
        return self.status.version

    def filtered(self, analyses: Collection[int] | None) -> str:
        """The answer to a filter."""
        return as_json(message(self.status, content(self.status, analyses), FILTERED))


def snapshot_of(status: QueueStatus) -> Snapshot:
    """The status with its message."""
    whole = content(status)
    return Snapshot(status, whole, as_json(message(status, whole)))


def read_snapshot(engine: Engine) -> Snapshot:
    """Look at the database."""
    return snapshot_of(read_queue_status(engine))


def as_json(body: Any) -> str:
    """The text of a message."""
    return json.dumps(body, separators=(",", ":"))
