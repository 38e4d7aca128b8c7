"""Sweeping: files without an owner go, with their objects, once nobody can read them any more."""

from io import BytesIO
from threading import Event

import pytest
from sqlalchemy import Engine, func, insert, text, update

from services.worker_monitor import sweeper
from services.worker_monitor.holdings import Hold
from services.worker_monitor.recording import Recorder
from services.worker_monitor.sweeper import Sweeper
from shared.core.states import RunKind
from shared.database.resources import File
from shared.object_store import ObjectStoreDenied, ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore
from tests.worker_monitor.history import History


def _release_all(engine: Engine, ago: str = "2 days") -> None:
    with engine.begin() as connection:
        connection.execute(update(File).values(released_at=func.now() - text(f"interval '{ago}'")))


def _released(engine: Engine, store: DirectoryStore, count: int) -> None:
    keys = [f"files/{number}.csv" for number in range(count)]
    for key in keys:
        store.put(key, BytesIO(b"old"))
    rows = [{"key": key, "filename": "old.csv", "content_type": "text/csv", "size": 3} for key in keys]
    with engine.begin() as connection:
        connection.execute(insert(File), rows)
    _release_all(engine)


def _sweep(engine: Engine, store: DirectoryStore) -> int:
    return Sweeper(engine, store).sweep(Event())


def test_a_released_file_goes_with_its_object(history: History, store: DirectoryStore) -> None:
    _release_all(history.engine)

    assert _sweep(history.engine, store) == 1

    assert (history.files(), history.objects()) == ({}, set())
    assert history.analysis().settings_file_id is None


@pytest.mark.parametrize("released", [None, "23 hours"], ids=["owned", "released lately"])
def test_a_file_that_is_owned_or_was_released_lately_stays(
    history: History, store: DirectoryStore, released: str | None
) -> None:
    if released is not None:
        _release_all(history.engine, released)

    assert _sweep(history.engine, store) == 0

    assert history.objects() == {history.settings_key}


def test_a_file_that_a_run_under_way_was_requested_with_stays_until_the_run_has_ended(
    history: History, store: DirectoryStore
) -> None:
    history.request()
    _release_all(history.engine)

    assert _sweep(history.engine, store) == 0
    assert history.objects() == {history.settings_key}

    history.cancel()

    assert _sweep(history.engine, store) == 0, "it may be resumed"

    with history.engine.begin() as connection:
        connection.execute(text("UPDATE runs SET objects_swept_at = now()"))

    assert _sweep(history.engine, store) == 1
    assert history.objects() == set()


def test_a_released_file_that_a_kept_run_has_recorded_stays_until_the_run_goes(
    history: History, store: DirectoryStore, recorder: Recorder
) -> None:
    recorder.execute(Hold(history.to_record()))
    history.work_off()
    recorded = history.objects() - {history.settings_key}
    _release_all(history.engine)

    _sweep(history.engine, store)
    assert history.objects() == recorded

    with history.engine.begin() as connection:
        connection.execute(text("UPDATE analyses SET current_run_id = NULL"))
        connection.execute(text("DELETE FROM runs"))
    _sweep(history.engine, store)
    assert history.objects() == set()


def test_a_recorded_file_that_later_sub_tasks_read_stays(
    history: History, store: DirectoryStore, recorder: Recorder
) -> None:
    recorder.execute(Hold(history.to_record(RunKind.GENERATE_AND_RUN)))
    recorded = history.files()[history.analysis().input_file_id]
    _release_all(history.engine)

    _sweep(history.engine, store)

    assert recorded.key in history.objects()


def test_more_files_than_a_batch_go_in_one_sweep(
    engine: Engine, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_BATCH", 3)
    _released(engine, store, 8)

    assert _sweep(engine, store) == 8

    assert list(store.list("")) == []


def test_an_object_that_the_store_refuses_to_delete_keeps_its_row_and_holds_up_nothing(
    engine: Engine, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Guarded(DirectoryStore):
        def delete(self, key: str) -> None:
            if key == "files/1.csv":
                raise ObjectStoreDenied(key=key)
            super().delete(key)

    monkeypatch.setattr(sweeper, "_BATCH", 2)
    _released(engine, store, 5)

    assert _sweep(engine, Guarded(store.root)) == 4

    with engine.connect() as connection:
        assert list(connection.scalars(text("SELECT key FROM files"))) == ["files/1.csv"]


def test_a_store_that_does_not_answer_keeps_all_rows(engine: Engine, store: DirectoryStore) -> None:
    class Away(DirectoryStore):
        def delete(self, key: str) -> None:
            raise ObjectStoreUnavailable(key=key)

    _released(engine, store, 2)

    with pytest.raises(ObjectStoreUnavailable):
        _sweep(engine, Away(store.root))

    assert _sweep(engine, store) == 2
