"""Recording results: what clients see afterwards, and that they see all of it or nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, literal_column, select, text

from services.worker_monitor.errors import ArtifactMissing, UnknownStep
from services.worker_monitor.holdings import Hold
from services.worker_monitor.recording import Recorder
from services.worker_monitor.results import RESULTS, permanent_key, results_of
from shared.core.states import RunKind
from shared.database.execution import Attempt, Outbox, StageRow, SubTask
from shared.database.resources import Analysis, File
from shared.messages.catalogue import Token, WorkerDied
from shared.messages.envelope import decode
from tests.worker_monitor.history import INPUT_COLUMNS, MODEL_QUEUE, WORKER, History


def test_recorded_inputs_are_files_of_the_analysis_with_the_names_that_clients_know(
    history: History, recorder: Recorder
) -> None:
    grant = history.to_record()

    recorder.execute(Hold(grant))

    analysis, files = history.analysis(), history.files()
    named = {column: files[getattr(analysis, column)] for column in INPUT_COLUMNS}
    assert {column: file.filename for column, file in named.items()} == {
        "input_file_id": f"analysis_{analysis.id}_inputs.tar.gz",
        "lookup_errors_file_id": f"analysis_{analysis.id}_keys-errors.csv",
        "lookup_success_file_id": f"analysis_{analysis.id}_gul_summary_map.csv",
        "lookup_validation_file_id": f"analysis_{analysis.id}_exposure_summary_report.json",
        "summary_levels_file_id": f"analysis_{analysis.id}_exposure_summary_levels.json",
        "settings_file_id": f"analysis_{analysis.id}_settings.json",
    }
    for file in named.values():
        assert len(history.text(file.key)) == file.size > 0
        assert (file.released_at, file.creator_id) == (None, history.user_id)
    assert named["input_file_id"].key.endswith(".tar.gz")
    assert history.text(named["lookup_errors_file_id"].key).startswith("keys-errors.csv of")
    assert analysis.status == "READY"


def test_ready_completed_files_and_tokens_appear_in_one_transaction(history: History, recorder: Recorder) -> None:
    grant = history.to_record()

    recorder.execute(Hold(grant))

    xmin = literal_column("xmin::text")
    ids = [getattr(history.analysis(), column) for column in INPUT_COLUMNS]
    newest = select(func.max(Outbox.id)).scalar_subquery()
    queries = [
        select(xmin).select_from(Analysis),
        select(xmin).select_from(SubTask).where(SubTask.id == grant.sub_task_id),
        select(xmin).select_from(Attempt).where(Attempt.attempt_id == grant.attempt_id),
        select(xmin).select_from(File).where(File.id.in_(ids)),
        select(xmin).select_from(Outbox).where(Outbox.id == newest),
    ]
    with history.engine.connect() as connection:
        writers = {writer for query in queries for writer in connection.scalars(query)}
    assert len(writers) == 1
    assert history.sub_task(grant).state == "COMPLETED"
    last = history.one(select(Outbox.__table__).order_by(Outbox.id.desc()).limit(1))
    assert decode(last.body) == Token(MODEL_QUEUE)


def test_replaced_files_are_released_and_their_objects_stay(history: History, recorder: Recorder) -> None:
    grant = history.to_record()

    recorder.execute(Hold(grant))

    (old,) = [file for file in history.files().values() if file.key == history.settings_key]
    assert old.released_at is not None
    assert history.store.exists(history.settings_key)


def test_settings_that_were_uploaded_during_the_run_are_kept(history: History, recorder: Recorder) -> None:
    grant = history.to_record()
    newer = history.upload("settings_file_id", "analysis_settings.json")

    recorder.execute(Hold(grant))

    analysis, files = history.analysis(), history.files()
    assert files[analysis.settings_file_id].key == newer
    assert analysis.status == "READY"
    assert history.objects() == {file.key for file in files.values()}
    artifacts = history.sub_task(grant).artifacts
    assert "analysis_settings_location" not in artifacts


def test_artifacts_that_are_absent_leave_their_columns_alone(history: History, recorder: Recorder) -> None:
    history.leaves = {"write-input-files": {"output_location": "inputs.tar.gz"}}
    grant = history.to_record()

    recorder.execute(Hold(grant))

    analysis = history.analysis()
    assert analysis.input_file_id is not None
    assert history.files()[analysis.settings_file_id].key == history.settings_key
    assert analysis.lookup_errors_file_id is None


def test_later_sub_tasks_of_the_run_are_referred_to_the_permanent_copies(history: History, recorder: Recorder) -> None:
    grant = history.to_record(RunKind.GENERATE_AND_RUN)

    recorder.execute(Hold(grant))

    recorded = history.files()[history.analysis().input_file_id]
    position = history.sub_task(grant).stage
    stage = history.one(
        select(StageRow.artifacts).where(StageRow.run_id == grant.run_id, StageRow.position == position)
    )
    assert stage.artifacts["output_location"] == {"key": recorded.key, "filename": recorded.filename}


def test_recorded_losses_replace_the_inputs_by_those_with_the_occurrence(history: History, recorder: Recorder) -> None:
    recorder.execute(Hold(history.to_record(RunKind.GENERATE_AND_RUN)))
    before = history.analysis().input_file_id

    recorder.execute(Hold(history.next_to_record()))

    analysis, files = history.analysis(), history.files()
    assert analysis.status == "RUN_COMPLETED"
    assert files[analysis.output_file_id].filename == f"analysis_{analysis.id}_output.tar.gz"
    assert history.text(files[analysis.output_file_id].key).startswith("output.tar.gz of")
    assert files[analysis.run_log_file_id].filename == f"analysis_{analysis.id}_logs.tar.gz"
    assert analysis.input_file_id != before
    assert files[before].released_at is not None


def test_the_log_of_the_attempt_says_what_was_copied(history: History, recorder: Recorder) -> None:
    grant = history.to_record()

    recorder.execute(Hold(grant))

    attempt = history.attempt(grant.attempt_id)
    assert attempt.log_key == grant.log_key
    log = history.text(grant.log_key)
    assert all(artifact in log for artifact in history.leaves["write-input-files"])
    assert attempt.started_at <= attempt.finished_at


@pytest.mark.parametrize("executions", [[0, 0], [0, 1]], ids=["one after the other", "at once"])
def test_a_doubled_execution_records_once(history: History, recorder: Recorder, executions: list[int]) -> None:
    grant = history.to_record()
    before = set(history.files())

    if executions == [0, 0]:
        recorder.execute(Hold(grant))
        recorder.execute(Hold(grant))
    else:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(recorder.execute, [Hold(grant), Hold(grant)]))

    files = history.files()
    assert len(set(files) - before) == len(INPUT_COLUMNS)
    assert history.objects() == {file.key for file in files.values()}
    assert history.sub_task(grant).retry_count == 0
    assert history.analysis().status == "READY"


def test_an_attempt_that_a_newer_one_has_replaced_leaves_nothing(history: History, recorder: Recorder) -> None:
    grant = history.to_record()
    history.tell(WorkerDied(WORKER, "killed"))
    history.engine.dispose()
    with history.engine.begin() as connection:
        connection.execute(text("UPDATE sub_tasks SET not_before = NULL"))
    newer = history.next_to_record("another")
    before, objects = history.files(), history.objects()

    recorder.execute(Hold(grant))

    assert (history.files(), history.objects()) == (before, objects)
    assert history.sub_task(grant).state == "STARTED"
    assert history.attempt(newer.attempt_id).state == "granted"
    assert history.analysis().input_file_id is None


def test_an_attempt_of_a_cancelled_run_confirms_that_it_has_ended_and_leaves_nothing(
    history: History, recorder: Recorder
) -> None:
    grant = history.to_record()
    before, objects = history.files(), history.objects()
    history.cancel()

    recorder.execute(Hold(grant))

    assert (history.files(), history.objects()) == (before, objects)
    assert history.run_state(grant) == "CANCELLED"
    assert history.analysis().status == "INPUTS_GENERATION_CANCELLED"
    assert history.analysis().input_file_id is None


def test_an_attempt_of_a_deleted_analysis_leaves_nothing(history: History, recorder: Recorder) -> None:
    grant = history.to_record()
    before = history.objects()
    with history.engine.begin() as connection:
        connection.execute(text("UPDATE analyses SET current_run_id = NULL"))
        connection.execute(text("DELETE FROM analyses"))

    recorder.execute(Hold(grant))

    assert history.objects() == before


def test_a_missing_required_artifact_is_named(history: History) -> None:
    grant = history.to_record()
    without = replace(grant, files={"settings_file": grant.files["settings_file"]})

    with pytest.raises(ArtifactMissing, match="record-input-files needs output_location"):
        results_of(without)
    with pytest.raises(UnknownStep, match="fry"):
        results_of(replace(grant, step="fry"))


def test_permanent_keys_keep_the_suffixes_and_never_repeat() -> None:
    names = [f"analysis_7_{kind.name}" for kinds in RESULTS.values() for kind in kinds]

    keys = [permanent_key(name) for name in names]

    assert len(set(keys)) == len(keys)
    assert {key[key.index(".") :] for key in keys} == {".tar.gz", ".csv", ".json", ".txt"}
    assert json.dumps(keys).count("files/") == len(keys)
