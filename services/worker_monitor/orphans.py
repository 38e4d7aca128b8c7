"""Removes objects of files that have no row: a process died between putting one and committing its row.

Nobody can come to own such an object: its key is random, and its row is committed right after it was put, or never.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event

from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from shared.database.resources import File
from shared.object_store import ObjectInfo, ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)

PREFIX = "files/"
"""Where the objects of all files lie."""

_BATCH = 500


class OrphanSweeper:
    """Looks every `every` seconds; only what was put more than `after` seconds ago is taken for an orphan."""

    def __init__(self, engine: Engine, store: ObjectStore, every: float = 21_600.0, after: float = 86_400.0) -> None:
        self._engine = engine
        self._store = store
        self._every = every
        self._after = timedelta(seconds=after)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        while not stopping.wait(self._every):
            try:
                self.sweep(stopping)
            except (OperationalError, ObjectStoreError) as error:
                log.warning("Cannot look for orphans now", extra={"reason": str(error)})

    def sweep(self, stopping: Event) -> int:
        """Remove every orphan. Returns how many there were."""
        removed = 0
        put_before = datetime.now(UTC) - self._after
        old = (each for each in self._store.list(PREFIX) if each.modified_at < put_before)
        for batch in _batches(old):
            if stopping.is_set():
                break
            removed += self._remove([each.key for each in batch])
        if removed:
            log.info("Removed objects without a row", extra={"objects": removed})
        return removed

    def _remove(self, keys: list[str]) -> int:
        with self._engine.connect() as connection:
            known = set(connection.scalars(select(File.key).where(File.key.in_(keys))))
        orphans = [key for key in keys if key not in known]
        for key in orphans:
            self._store.delete(key)
        return len(orphans)


def _batches(objects: Iterable[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    remaining = iter(objects)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
