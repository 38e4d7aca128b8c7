"""Runs that are no longer kept go with all that they have left; what can still be read stays."""

from datetime import timedelta
from io import BytesIO
from threading import Event

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from services.worker_monitor.holdings import Hold
from services.worker_monitor.recording import Recorder
from services.worker_monitor.retention import Retention
from services.worker_monitor.run_sweeper import RunSweeper
from services.worker_monitor.sweeper import Sweeper
from shared.core.inputs import FileRef
from shared.core.plan import RECORDER_QUEUE, Phase
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Attempt, Removal, Run, RunFile, SubTask
from shared.database.requests import current_run, lock_analysis, resume_run
from shared.database.resources import Analysis, File
from shared.messages.catalogue import AttemptFinished, StartRun
from shared.object_store import ObjectStore, ObjectStoreDenied, ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore
from tests.worker_monitor.history import MODEL_QUEUE, WORKER, History

pytestmark = pytest.mark.integration

INPUTS = RunKind.GENERATE_INPUTS


def _sweep(history: History, store: ObjectStore | None = None, **retention: int) -> None:
    RunSweeper(history.engine, store or history.store, Retention(**retention)).sweep(Event())


def _end_days_ago(engine: Engine, run_id: int, days: float) -> None:
    with engine.begin() as connection:
        ended = func.now() - timedelta(days=days)
        connection.execute(update(Run).where(Run.id == run_id).values(ended_at=ended))


def _runs(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(select(Run.id).order_by(Run.id)))


def _count(engine: Engine, table: type) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _cancelled(history: History) -> int:
    """A run that was cancelled after three sub-tasks; each left an object and a log."""
    run_id = history.request()
    for _ in range(3):
        _complete(history)
    history.cancel()
    return run_id


def _complete(history: History) -> None:
    grant = history.claim(MODEL_QUEUE, "w")
    assert grant is not None
    key = f"{grant.key_prefix}out"
    history.store.put(key, BytesIO(b"result"))
    history.store.put(grant.log_key, BytesIO(b"log"))
    artifacts = {grant.step: FileRef(key, "out")}
    history.tell(AttemptFinished(grant.attempt_id, "w", artifacts=artifacts, log_key=grant.log_key))


def _resume(history: History) -> int:
    """Resume as the API does; the new run has no plan yet."""
    with Session(history.engine) as session:
        analysis = lock_analysis(session, history.analysis_id)
        assert analysis is not None
        ended = current_run(session, analysis)
        assert ended is not None
        run_id = resume_run(session, analysis, ended, Phase.INPUTS, None).id
        session.commit()
        return run_id


def _left(history: History) -> tuple[int, int]:
    """How many results and logs of attempts are in the store."""
    results = [key for key in history.objects("") if key.startswith("analysis-")]
    return len(results), len(history.objects("logs/"))


def test_a_recorded_file_is_named_in_its_run_too(history: History, recorder: Recorder) -> None:
    grant = history.to_record(RunKind.GENERATE_AND_RUN)
    recorder.execute(Hold(grant))
    first = history.analysis().input_file_id
    recorder.execute(Hold(history.next_to_record()))

    with history.engine.connect() as connection:
        query = select(RunFile.name, RunFile.file_id).where(RunFile.run_id == grant.run_id)
        named = {row.name: row.file_id for row in connection.execute(query)}

    analysis = history.analysis()
    assert named == {
        name.removesuffix("_id"): getattr(analysis, name)
        for name in (
            "input_file_id",
            "lookup_errors_file_id",
            "lookup_success_file_id",
            "lookup_validation_file_id",
            "summary_levels_file_id",
            "settings_file_id",
            "output_file_id",
            "run_log_file_id",
        )
    }
    assert named["input_file"] != first


def test_an_old_run_goes_with_its_rows_logs_objects_and_files(history: History, recorder: Recorder) -> None:
    recorder.execute(Hold(history.to_record()))
    history.work_off()
    (old,) = _runs(history.engine)
    history.store.put(f"logs/run-{history.one(select(Run.run_uuid)).run_uuid}/attempt-x.log", BytesIO(b"log"))
    recorded = history.objects() - {history.settings_key}
    recorder.execute(Hold(history.to_record()))
    history.work_off()
    with history.engine.begin() as connection:
        connection.execute(text("UPDATE analyses SET inputs_traceback_run_id = current_run_id"))
        released = func.now() - timedelta(days=2)
        connection.execute(update(File).where(File.key.in_(recorded)).values(released_at=released))
    _end_days_ago(history.engine, old, 30)
    uuid = history.one(select(Run.run_uuid).where(Run.id == old)).run_uuid

    Sweeper(history.engine, history.store).sweep(Event())
    assert recorded <= history.objects(), "the run is kept"

    _sweep(history, days=30)
    Sweeper(history.engine, history.store).sweep(Event())

    assert old not in _runs(history.engine)
    assert len(_runs(history.engine)) == 1
    assert not recorded & history.objects()
    assert not [key for key in history.objects("") if uuid in key]
    with history.engine.connect() as connection:
        assert connection.scalar(select(func.count()).where(SubTask.run_id == old)) == 0
        assert connection.scalar(select(func.count()).where(Attempt.run_id == old)) == 0
    analysis, files = history.analysis(), history.files()
    assert history.store.exists(files[analysis.input_file_id].key)


def test_runs_beyond_the_newest_go(history: History) -> None:
    runs = [_cancelled(history) for _ in range(4)]

    _sweep(history, runs=3, days=0)

    assert _runs(history.engine) == runs[1:]
    assert _left(history) == (9, 9)


def test_the_current_run_and_those_whose_logs_are_shown_stay(history: History) -> None:
    shown, _, current = (_cancelled(history) for _ in range(3))
    for run_id in (shown, current):
        _end_days_ago(history.engine, run_id, 90)
    with history.engine.begin() as connection:
        connection.execute(update(Analysis).values(losses_traceback_run_id=shown))

    _sweep(history, runs=1)

    assert _runs(history.engine) == [shown, current]


def test_a_stopped_run_loses_its_objects_after_a_day_and_keeps_its_logs(history: History) -> None:
    run_id = _cancelled(history)
    _sweep(history)
    assert _left(history) == (3, 3)

    _end_days_ago(history.engine, run_id, 1)
    _sweep(history)

    assert (_runs(history.engine), _left(history)) == ([run_id], (0, 3))
    assert history.one(select(Run.objects_swept_at)).objects_swept_at is not None
    assert _count(history.engine, Removal) == 0


@pytest.mark.parametrize("planned", [False, True], ids=["before its plan", "with its plan"])
def test_objects_that_a_resumed_run_reads_stay_until_it_has_ended(history: History, planned: bool) -> None:
    cancelled = _cancelled(history)
    resumed = _resume(history)
    if planned:
        history.tell(StartRun(resumed))
    _end_days_ago(history.engine, cancelled, 90)

    _sweep(history, runs=1)
    assert (_runs(history.engine), _left(history)) == ([cancelled, resumed], (3, 3))

    history.cancel()
    _end_days_ago(history.engine, resumed, 0.5)
    _sweep(history, runs=1)
    assert (_runs(history.engine), _left(history)) == ([cancelled, resumed], (3, 3)), "it may be resumed again"

    _end_days_ago(history.engine, resumed, 1.5)
    _sweep(history, runs=1)
    assert (_runs(history.engine), _left(history)) == ([cancelled, resumed], (0, 3)), "its logs are shown"


def test_an_analysis_that_is_being_changed_is_left_for_later(history: History) -> None:
    run_id = _cancelled(history)
    _end_days_ago(history.engine, run_id, 1)
    with Session(history.engine) as session:
        lock_analysis(session, history.analysis_id)
        _sweep(history)
    assert _left(history) == (3, 3)

    _sweep(history)
    assert _left(history) == (0, 3)


def test_what_was_noted_is_removed_when_the_store_answers_again(history: History, store: DirectoryStore) -> None:
    class Away(DirectoryStore):
        def delete_prefix(self, prefix: str) -> int:
            raise ObjectStoreUnavailable(key=prefix)

    _end_days_ago(history.engine, _cancelled(history), 1)
    with pytest.raises(ObjectStoreUnavailable):
        _sweep(history, Away(store.root))
    assert _count(history.engine, Removal) == 2

    _sweep(history)

    assert (_left(history), _count(history.engine, Removal)) == ((0, 3), 0)


def test_a_prefix_that_the_store_refuses_holds_up_no_other(history: History, store: DirectoryStore) -> None:
    class Guarded(DirectoryStore):
        def delete_prefix(self, prefix: str) -> int:
            if "_losses-" in prefix:
                raise ObjectStoreDenied(key=prefix)
            return super().delete_prefix(prefix)

    _end_days_ago(history.engine, _cancelled(history), 1)

    _sweep(history, Guarded(store.root))

    assert _left(history) == (0, 3)
    assert history.one(select((Removal.not_before > func.now()).label("waits"))).waits


def test_removals_wait_for_their_time(history: History) -> None:
    history.store.put("analysis-9_files-x/attempt-y/out", BytesIO(b"1"))
    with history.engine.begin() as connection:
        later = func.now() + timedelta(hours=1)
        connection.execute(Removal.__table__.insert().values(prefix="analysis-9_files-x/", not_before=later))

    _sweep(history)
    assert _left(history) == (1, 0)

    with history.engine.begin() as connection:
        connection.execute(update(Removal).values(not_before=func.now()))
    _sweep(history)
    assert (_left(history), _count(history.engine, Removal)) == ((0, 0), 0)


def test_a_resumed_run_records_what_both_have_left(history: History, recorder: Recorder) -> None:
    """The inputs were written by the failed run, and are recorded by the resumed one."""
    history.leaves = {"write-input-files": {"output_location": "inputs.tar.gz"}}
    failed = history.to_record()
    for _ in range(history.settings.policy.retries[Cause.MODEL_ERROR]):
        history.tell(AttemptFinished(failed.attempt_id, WORKER, Cause.MODEL_ERROR, "no disk"))
        with history.engine.begin() as connection:
            connection.execute(text("UPDATE sub_tasks SET not_before = NULL"))
        again = history.claim(RECORDER_QUEUE, WORKER)
        assert again is not None
        failed = again
    history.tell(AttemptFinished(failed.attempt_id, WORKER, Cause.MODEL_ERROR, "no disk"))
    assert history.run_state(failed) == "FAILED"

    history.tell(StartRun(_resume(history)))
    grant = history.next_to_record()
    recorder.execute(Hold(grant))

    analysis = history.analysis()
    assert analysis.status == "READY"
    key = history.files()[analysis.input_file_id].key
    assert history.text(key).startswith("inputs.tar.gz of")
    assert failed.run_uuid in grant.files["output_location"].key
