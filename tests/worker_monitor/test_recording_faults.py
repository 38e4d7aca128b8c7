"""Recording when something breaks: the store, the database, the process; nothing half-done is ever seen."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, BinaryIO

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from services.worker_monitor import recording
from services.worker_monitor.holdings import Hold
from services.worker_monitor.recording import Recorder
from services.worker_monitor.sweeper import Sweeper
from shared.codec import to_plain
from shared.core.retries import Cause, RetryPolicy
from shared.object_store import ObjectInfo, ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore
from tests.fakes.database import DatabaseServer
from tests.worker_monitor.history import INPUT_COLUMNS, WORKER, History, eventually

_REFUSE_COMMITS = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON analyses DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.input_file_id IS NOT NULL) EXECUTE FUNCTION refuse();
"""


class BrokenStore(DirectoryStore):
    """Calls `before_copy` with the number of the copy, from 1, and `before_put` with the key."""

    def __init__(
        self,
        root: Path,
        before_copy: Callable[[int], None] = lambda _: None,
        before_put: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(root)
        self._before_copy = before_copy
        self._before_put = before_put
        self._copies = 0

    def copy(self, source: str, target: str) -> ObjectInfo:
        self._copies += 1
        self._before_copy(self._copies)
        return super().copy(source, target)

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> ObjectInfo:
        self._before_put(key)
        return super().put(key, stream, content_type=content_type)


def _unavailable(_: object) -> None:
    raise ObjectStoreUnavailable


def _recorder(engine: Engine, store: DirectoryStore) -> Recorder:
    return Recorder(engine, store, RetryPolicy(), WORKER)


def _nothing_is_recorded(history: History, before: dict[int, Any], objects: set[str]) -> None:
    assert (history.files(), history.objects()) == (before, objects)
    analysis = history.analysis()
    assert (analysis.status, analysis.input_file_id) == ("INPUTS_GENERATION_STARTED", None)


def test_a_store_that_fails_in_the_middle_leaves_nothing_and_the_sub_task_is_tried_again(
    history: History, store: DirectoryStore
) -> None:
    grant = history.to_record()
    before, objects = history.files(), history.objects()

    def fail_at_third(number: int) -> None:
        if number == 3:
            raise ObjectStoreUnavailable

    _recorder(history.engine, BrokenStore(store.root, before_copy=fail_at_third)).execute(Hold(grant))

    _nothing_is_recorded(history, before, objects)
    attempt, sub_task = history.attempt(grant.attempt_id), history.sub_task(grant)
    assert (attempt.state, attempt.cause) == ("failed", Cause.STORAGE)
    assert (sub_task.state, sub_task.ended, sub_task.retry_count) == ("QUEUED", {Cause.STORAGE: 1}, 1)
    assert "failed: " in history.text(attempt.log_key)


def test_an_artifact_that_is_gone_is_reported_by_its_key(history: History, recorder: Recorder) -> None:
    grant = history.to_record()
    lost = grant.files["lookup_error_location"].key
    history.store.delete(lost)

    recorder.execute(Hold(grant))

    assert lost in history.attempt(grant.attempt_id).message


def test_a_commit_that_fails_leaves_neither_rows_nor_objects(history: History, recorder: Recorder) -> None:
    grant = history.to_record()
    before, objects = history.files(), history.objects()
    with history.engine.begin() as connection:
        connection.execute(text(_REFUSE_COMMITS))

    recorder.execute(Hold(grant))

    _nothing_is_recorded(history, before, objects)
    attempt = history.attempt(grant.attempt_id)
    assert (attempt.state, attempt.cause) == ("failed", Cause.MODEL_ERROR)
    assert "the disk is on fire" in attempt.message
    assert history.sub_task(grant).state == "QUEUED"


def test_a_log_that_cannot_be_stored_changes_no_outcome(history: History, store: DirectoryStore) -> None:
    grant = history.to_record()

    _recorder(history.engine, BrokenStore(store.root, before_put=_unavailable)).execute(Hold(grant))

    assert history.analysis().status == "READY"
    assert history.attempt(grant.attempt_id).log_key is None


def test_a_process_killed_between_copy_and_commit_leaves_nothing_that_the_sweeper_does_not_remove(
    history: History, store: DirectoryStore
) -> None:
    grant = history.to_record()
    before, objects = history.files(), history.objects()

    program = Path(__file__).with_name("killed_recorder.py")
    url = history.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, program, url, store.root],
        input=json.dumps(to_plain(grant)),
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    assert len(history.objects() - objects) == len(INPUT_COLUMNS)
    assert history.analysis().input_file_id is None
    assert all(file.released_at for file_id, file in history.files().items() if file_id not in before)

    Sweeper(history.engine, store, keep=0.0).sweep(Event())

    _nothing_is_recorded(history, before, objects)


def test_a_commit_whose_answer_was_lost_keeps_its_files(
    history: History, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = history.to_record()
    real, losses = recording.in_working_set, iter([True])

    def forgetful(*arguments: Any) -> Any:
        result = real(*arguments)
        if next(losses, False):
            raise OperationalError("COMMIT", {}, ConnectionError("the connection was lost"))
        return result

    monkeypatch.setattr(recording, "in_working_set", forgetful)

    recorder.execute(Hold(grant))

    files = history.files()
    assert history.analysis().status == "READY"
    assert history.objects() == {file.key for file in files.values()}
    assert all(files[getattr(history.analysis(), column)].released_at is None for column in INPUT_COLUMNS)


def test_a_database_that_goes_away_in_the_middle_is_waited_for(
    history: History, server: DatabaseServer, store: DirectoryStore
) -> None:
    grant = history.to_record()
    engine = history.engine
    name = sql.Identifier(engine.url.database or "")

    def forbid(_: str) -> None:
        _administer(server, sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
        _administer(server, sql.SQL(ending).format(sql.Literal(engine.url.database)))
        gone.set()

    gone = Event()
    recorder = _recorder(engine, BrokenStore(store.root, before_put=forbid))
    executing = Thread(target=recorder.execute, args=(Hold(grant),))
    executing.start()
    assert gone.wait(10)

    _administer(server, sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))

    executing.join(20)
    assert not executing.is_alive()
    assert history.analysis().status == "READY"
    assert history.sub_task(grant).retry_count == 0


def _administer(server: DatabaseServer, statement: sql.Composed) -> None:
    url = server.url("postgres").set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("cause", "state"), [(Cause.DRAINED, "QUEUED"), (None, "STARTED")], ids=["handed back", "refused"]
)
def test_an_attempt_that_is_given_up_leaves_nothing(
    history: History, store: DirectoryStore, cause: Cause | None, state: str
) -> None:
    grant = history.to_record()
    before, objects = history.files(), history.objects()
    hold = Hold(grant)

    def give_up_at_second(number: int) -> None:
        if number == 2:
            hold.give_up(cause)

    _recorder(history.engine, BrokenStore(store.root, before_copy=give_up_at_second)).execute(hold)

    _nothing_is_recorded(history, before, objects)
    assert history.sub_task(grant).state == state
    assert history.sub_task(grant).retry_count == 0


def test_objects_that_cannot_be_removed_now_are_left_to_the_sweeper(history: History, store: DirectoryStore) -> None:
    grant = history.to_record()
    before, objects = history.files(), history.objects()
    hold = Hold(grant)

    class Stubborn(BrokenStore):
        def delete(self, key: str) -> None:
            raise ObjectStoreUnavailable(key=key)

    def give_up_at_second(number: int) -> None:
        if number == 2:
            hold.give_up(None)

    _recorder(history.engine, Stubborn(store.root, before_copy=give_up_at_second)).execute(hold)
    assert history.objects() > objects

    Sweeper(history.engine, store, keep=0.0).sweep(Event())

    eventually(lambda: history.objects() == objects)
    assert history.files() == before
