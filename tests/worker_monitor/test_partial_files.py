"""What a failed run leaves for its users, and what it leaves alone."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from services.worker_monitor.holdings import Hold
from services.worker_monitor.partial_files import keep_partial_files
from services.worker_monitor.recording import Recorder
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Outbox, RunFile
from shared.messages.catalogue import Grant, KeepPartialFiles
from shared.messages.envelope import decode
from shared.object_store import ObjectStore, ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore
from tests.worker_monitor.history import History

INPUTS = {"output_location": "analysis_1_inputs.tar.gz", "lookup_error_location": "keys-errors.csv"}
LOSSES = {"output_location": "output.tar.gz", "run_logs": "analysis_1_logs.tar.gz"}


def told(history: History) -> list[KeepPartialFiles]:
    """What the worker monitor is told of partial files, oldest first."""
    with history.engine.connect() as connection:
        bodies = connection.scalars(select(Outbox.body).order_by(Outbox.id)).all()
    return [message for body in bodies if isinstance(message := decode(body), KeepPartialFiles)]


def keep(history: History) -> None:
    """Do the last thing that the worker monitor was told."""
    keep_partial_files(history.engine, history.store, told(history)[-1])


def completed(history: History, recorder: Recorder, kind: RunKind) -> Any:
    """The analysis after a run of this kind, which goes as it should."""
    recorder.execute(Hold(history.to_record(kind)))
    history.work_off()
    return history.analysis()


def files_of_run(engine: Engine, grant: Grant) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(select(RunFile.name).where(RunFile.run_id == grant.run_id)))


def text_of(history: History, file_id: int) -> str:
    file = history.files()[file_id]
    assert file.released_at is None
    return history.text(file.key)


@pytest.mark.parametrize("cause", [Cause.MODEL_ERROR, Cause.NO_KEYS])
def test_failed_inputs_leave_their_archive_and_the_lookup_errors(history: History, cause: Cause) -> None:
    history.request()
    grant = history.fail("write-input-files", INPUTS, cause)
    keep(history)
    analysis = history.analysis()
    assert text_of(history, analysis.input_file_id) == f"analysis_1_inputs.tar.gz of {grant.attempt_id}"
    assert text_of(history, analysis.lookup_errors_file_id).startswith("keys-errors.csv of")
    assert analysis.lookup_success_file_id is None
    assert files_of_run(history.engine, grant) == {"input_file", "lookup_errors_file"}
    assert set(history.attempt(grant.attempt_id).artifacts) == set(INPUTS)


def test_failed_losses_leave_their_outputs_and_logs_in_place_of_older_ones(
    history: History, recorder: Recorder
) -> None:
    completed(history, recorder, RunKind.GENERATE_INPUTS)
    before = completed(history, recorder, RunKind.GENERATE_LOSSES)
    history.request(RunKind.GENERATE_LOSSES)
    grant = history.fail("generate-losses-output", LOSSES)
    keep(history)
    after = history.analysis()
    assert text_of(history, after.output_file_id) == f"output.tar.gz of {grant.attempt_id}"
    assert text_of(history, after.run_log_file_id).startswith("analysis_1_logs.tar.gz of")
    assert after.input_file_id == before.input_file_id
    assert history.files()[before.output_file_id].released_at is not None


def test_losses_that_fail_early_take_the_older_logs_away_and_leave_the_older_outputs(
    history: History, recorder: Recorder
) -> None:
    completed(history, recorder, RunKind.GENERATE_INPUTS)
    before = completed(history, recorder, RunKind.GENERATE_LOSSES)
    history.request(RunKind.GENERATE_LOSSES)
    grant = history.fail("generate-losses-chunk", {})
    keep(history)
    after = history.analysis()
    assert after.run_log_file_id is None
    assert text_of(history, after.output_file_id) == text_of(history, before.output_file_id)
    assert files_of_run(history.engine, grant) == set()


def test_a_clean_up_that_fails_leaves_the_files_of_the_run_alone(history: History, recorder: Recorder) -> None:
    completed(history, recorder, RunKind.GENERATE_INPUTS)
    recorder.execute(Hold(history.to_record(RunKind.GENERATE_LOSSES)))
    before = history.analysis()
    grant = history.fail("cleanup-losses-generation", {})
    assert told(history) == []
    keep_partial_files(history.engine, history.store, KeepPartialFiles(grant.run_id, grant.sub_task_id))
    assert history.analysis() == before


def test_being_told_twice_changes_nothing_for_users(history: History) -> None:
    history.request()
    grant = history.fail("write-input-files", INPUTS)
    keep(history)
    keep(history)
    analysis = history.analysis()
    assert text_of(history, analysis.input_file_id) == f"analysis_1_inputs.tar.gz of {grant.attempt_id}"
    assert sum(file.released_at is None for file in history.files().values()) == 3  # with the settings


def test_the_files_of_a_run_that_a_newer_one_has_followed_stay_in_its_history_only(history: History) -> None:
    history.request()
    grant = history.fail("write-input-files", INPUTS)
    history.request()
    keep(history)
    assert history.analysis().input_file_id is None
    assert files_of_run(history.engine, grant) == {"input_file", "lookup_errors_file"}


def test_a_partial_file_that_is_gone_is_left_out(history: History) -> None:
    history.request()
    grant = history.fail("write-input-files", INPUTS)
    history.store.delete(f"{grant.key_prefix}keys-errors.csv")
    keep(history)
    analysis = history.analysis()
    assert analysis.input_file_id is not None
    assert analysis.lookup_errors_file_id is None
    assert len(history.files()) == 2


def test_nothing_is_shown_and_nothing_left_while_the_store_is_away(history: History) -> None:
    class Away(DirectoryStore):
        def copy(self, source: str, target: str) -> Any:
            raise ObjectStoreUnavailable(f"{source} -> {target}")

    history.request()
    history.fail("write-input-files", INPUTS)
    assert isinstance(history.store, DirectoryStore)
    away: ObjectStore = Away(history.store.root)
    with pytest.raises(ObjectStoreUnavailable):
        keep_partial_files(history.engine, away, told(history)[-1])
    assert len(history.files()) == 1
    keep(history)
    assert history.analysis().input_file_id is not None
