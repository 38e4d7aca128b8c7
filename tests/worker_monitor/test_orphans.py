"""Orphans: objects whose row was never committed go, and nothing else does."""

import os
from datetime import timedelta
from io import BytesIO
from threading import Event
from time import time

import pytest
from sqlalchemy import Engine, func, insert

from services.worker_monitor import orphans
from services.worker_monitor.orphans import OrphanSweeper
from shared.database.resources import File
from shared.object_store.directory import DirectoryStore
from tests.worker_monitor.history import History

DAY = timedelta(days=1).total_seconds()


def _put(store: DirectoryStore, key: str, days_ago: float) -> None:
    store.put(key, BytesIO(b"bytes"))
    moment = time() - days_ago * DAY
    os.utime(store.root / key, (moment, moment))


def _row(engine: Engine, key: str, released: bool = False) -> None:
    values = {"key": key, "filename": "a", "content_type": "text/csv", "size": 5}
    with engine.begin() as connection:
        connection.execute(insert(File).values(**values, released_at=func.now() if released else None))


def test_an_old_object_without_a_row_goes(history: History, store: DirectoryStore) -> None:
    _put(store, "files/orphan.csv", 2)

    assert OrphanSweeper(history.engine, store).sweep(Event()) == 1

    assert not store.exists("files/orphan.csv")
    assert store.exists(history.settings_key)


def test_what_has_a_row_or_is_young_or_lies_elsewhere_stays(history: History, store: DirectoryStore) -> None:
    _put(store, "files/owned.csv", 2)
    _row(history.engine, "files/owned.csv")
    _put(store, "files/released.csv", 2)
    _row(history.engine, "files/released.csv", released=True)
    _put(store, "files/young.csv", 0.9)
    _put(store, "logs/old.log", 9)
    before = history.objects()

    assert OrphanSweeper(history.engine, store).sweep(Event()) == 0

    assert history.objects() == before


def test_many_are_looked_at_in_batches(
    history: History, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_BATCH", 2)
    for number in range(5):
        _put(store, f"files/{number}.csv", 2)
    _row(history.engine, "files/3.csv")

    assert OrphanSweeper(history.engine, store).sweep(Event()) == 4

    assert store.exists("files/3.csv")


def test_it_stops_when_it_is_told_to(history: History, store: DirectoryStore) -> None:
    _put(store, "files/orphan.csv", 2)
    stopping = Event()
    stopping.set()

    OrphanSweeper(history.engine, store, every=0.01).run(stopping)

    assert OrphanSweeper(history.engine, store).sweep(stopping) == 0
    assert store.exists("files/orphan.csv")
