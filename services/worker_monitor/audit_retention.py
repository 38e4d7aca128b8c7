"""Removes entries of the audit that are older than they are kept."""

import logging
from datetime import timedelta
from threading import Event

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import OperationalError

from shared.database.accounts import AuditEntry

log = logging.getLogger(__name__)

_BATCH = 1000


class AuditSweeper:
    """Looks every `every` seconds; 0 days keep all entries for ever."""

    def __init__(self, engine: Engine, days: int, every: float = 60.0) -> None:
        self._engine = engine
        self._days = days
        self._every = every

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        while not stopping.wait(self._every):
            try:
                self.sweep(stopping)
            except OperationalError as error:
                log.warning("Cannot sweep the audit now", extra={"reason": str(error)})

    def sweep(self, stopping: Event) -> int:
        """Remove everything that is due, in batches, so that no transaction is long. Returns how many entries went."""
        removed = 0
        while self._days and not stopping.is_set():
            count = self._sweep_batch()
            removed += count
            if count < _BATCH:
                break
        if removed:
            log.info("Swept the audit", extra={"entries": removed, "kept_days": self._days})
        return removed

    def _sweep_batch(self) -> int:
        due = select(AuditEntry.id).where(AuditEntry.at < func.now() - timedelta(days=self._days))
        # Of two monitors each takes what the other one does not.
        batch = due.order_by(AuditEntry.at).limit(_BATCH).with_for_update(skip_locked=True)
        with self._engine.begin() as connection:
            return connection.execute(delete(AuditEntry).where(AuditEntry.id.in_(batch))).rowcount
