"""The log of one attempt, as a text object that clients can read."""

import logging
from datetime import UTC, datetime
from io import BytesIO

from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)


class AttemptLog:
    """Lines with their time; losing it never changes an outcome."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._lines: list[str] = []

    def add(self, text: str) -> None:
        """One line."""
        self._lines.append(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} - {text}\n")

    def write(self) -> str | None:
        """Store what there is. Returns its key, or None where the store did not take it."""
        try:
            self._store.put(self._key, BytesIO("".join(self._lines).encode()), content_type="text/plain")
        except ObjectStoreError as error:
            log.warning("Cannot store the log of an attempt", extra={"key": self._key, "reason": str(error)})
            return None
        return self._key
