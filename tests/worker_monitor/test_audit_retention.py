"""Entries of the audit go when they are older than they are kept."""

from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import Engine, func, insert, select

from services.worker_monitor import audit_retention
from services.worker_monitor.audit_retention import AuditSweeper
from shared.database.accounts import AuditEntry
from tests.worker_monitor.history import History

ENTRY = {"username": "a", "address": "", "action": "run", "resource": "analyses", "path": "", "status": 200}


def _note(engine: Engine, days_ago: int, count: int) -> None:
    at = func.now() - timedelta(days=days_ago)
    with engine.begin() as connection:
        for _ in range(count):
            connection.execute(insert(AuditEntry).values(**ENTRY, at=at))


def _ages(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted((each.days for each in connection.scalars(select(func.now() - AuditEntry.at))), reverse=True)


def test_entries_go_when_their_days_are_over_in_batches(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_retention, "_BATCH", 3)
    _note(history.engine, 400, 7)
    _note(history.engine, 30, 1)
    _note(history.engine, 0, 1)

    assert AuditSweeper(history.engine, days=0).sweep(Event()) == 0, "0 days are for ever"
    assert AuditSweeper(history.engine, days=365).sweep(Event()) == 7
    assert AuditSweeper(history.engine, days=365).sweep(Event()) == 0

    assert _ages(history.engine) == [30, 0]
