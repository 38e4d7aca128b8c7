"""Resuming runs that failed or were cancelled, and every refusal."""

from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.core.plan import Phase
from shared.core.states import RunState
from shared.database.execution import Outbox, Run, RunFile, StageRow, SubTask
from shared.database.resources import Analysis, DataFile, File, Model, analysis_data_files
from shared.messages.catalogue import StartRun
from shared.messages.envelope import decode
from tests.api.api_client import ANALYSIS_SETTINGS, LOCATIONS, Api
from tests.api.ended_run import EndedRun, ended_run, record

CHUNK = "generate-losses-chunk-1"


@pytest.fixture
def failed(api: Api, session: Session, dependencies: Dependencies) -> EndedRun:
    """A generate_and_run that has failed in the second of its two loss chunks."""
    run = ended_run(api, session, dependencies.store)
    run.complete_before(CHUNK)
    run.stop("FAILED", Phase.LOSSES)
    return run


def _resume(api: Api, run: EndedRun) -> Any:
    return api.post(f"analyses/{run.analysis_id}/resume/")


def _runs(session: Session) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(Run)) or 0


def _refusal(api: Api, session: Session, run: EndedRun) -> Any:
    """The body of the refusal, which leaves everything as it was."""
    before, count = api.get(f"analyses/{run.analysis_id}/").json, _runs(session)
    answer = _resume(api, run)
    assert answer.status_code == 400, answer.text
    assert (api.get(f"analyses/{run.analysis_id}/").json, _runs(session)) == (before, count)
    return answer.json


def test_a_resumed_run_is_a_new_run_that_reads_what_the_old_one_read(
    api: Api, session: Session, failed: EndedRun
) -> None:
    answer = _resume(api, failed)

    assert answer.status_code == 200, answer.text
    session.expire_all()
    old, new = session.scalars(select(Run).order_by(Run.id)).all()
    assert answer.json["status"] == "RUN_QUEUED"
    assert answer.json["task_finished"] is None
    assert (new.state, new.kind, new.resumed_from_id, new.requested_by_id) == ("REQUESTED", old.kind, old.id, 1)
    assert (new.inputs, new.facts, new.model_queue) == (old.inputs, old.facts, old.model_queue)
    assert session.get_one(Analysis, failed.analysis_id).current_run_id == new.id
    newest = session.scalars(select(Outbox).order_by(Outbox.id.desc())).first()
    assert newest is not None
    assert decode(newest.body) == StartRun(new.id)


@pytest.mark.parametrize(
    ("up_to", "phase", "status"),
    [
        ("prepare-input-generation-params", Phase.INPUTS, "INPUTS_GENERATION_QUEUED"),
        ("prepare-keys-file-1", Phase.INPUTS, "INPUTS_GENERATION_QUEUED"),
        ("cleanup-input-generation", Phase.LOSSES, "RUN_QUEUED"),
        ("generate-losses-output", Phase.LOSSES, "RUN_QUEUED"),
    ],
)
@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_the_status_is_that_of_the_phase_where_the_run_goes_on(
    api: Api, session: Session, dependencies: Dependencies, up_to: str, phase: Phase, status: str, state: str
) -> None:
    run = ended_run(api, session, dependencies.store)
    run.complete_before(up_to)
    run.stop(state, phase)

    assert _resume(api, run).json["status"] == status


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (RunState.CANCELLING, "The run is CANCELLING: its workers have not yet confirmed that they have ended. Try"),
        (RunState.FAILING, "The run is FAILING: its workers have not yet confirmed that they have ended. Try again"),
        (RunState.REQUESTED, "The run is REQUESTED, only one that is FAILED or CANCELLED can be resumed"),
        (RunState.ACTIVE, "The run is ACTIVE, only one that is FAILED or CANCELLED can be resumed"),
        (RunState.COMPLETED, "The run is COMPLETED, only one that is FAILED or CANCELLED can be resumed"),
    ],
)
def test_a_run_that_has_not_failed_or_been_cancelled_is_refused(
    api: Api, session: Session, failed: EndedRun, state: RunState, text: str
) -> None:
    failed.end(state)

    assert _refusal(api, session, failed)["status"][0].startswith(text)


def test_an_analysis_that_never_ran_is_refused(api: Api) -> None:
    answer = api.post(f"analyses/{api.analysis()['id']}/resume/")

    assert (answer.status_code, answer.json) == (400, {"status": ["Analysis has no run to resume"]})


def test_resuming_belongs_to_the_second_version_of_the_api(api: Api, failed: EndedRun) -> None:
    assert api.post(f"/v1/analyses/{failed.analysis_id}/resume/").status_code == 404
    assert api.post("analyses/999999/resume/").status_code == 404


def test_a_second_resume_is_refused(api: Api, session: Session, failed: EndedRun) -> None:
    assert _resume(api, failed).status_code == 200

    assert "The run is REQUESTED" in _refusal(api, session, failed)["status"][0]
    assert _runs(session) == 2


def test_of_two_that_resume_at_once_one_is_refused(api: Api, session: Session, failed: EndedRun) -> None:
    barrier, codes = Barrier(2), []

    def ask() -> None:
        client = Api(api.app)
        client.headers = api.headers
        barrier.wait()
        codes.append(_resume(client, failed).status_code)

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200, 400]
    assert _runs(session) == 2


def test_another_location_file_is_refused(api: Api, session: Session, failed: EndedRun) -> None:
    portfolio = session.get_one(Analysis, failed.analysis_id).portfolio_id
    api.upload(f"portfolios/{portfolio}/location_file/", LOCATIONS)

    refusal = _refusal(api, session, failed)

    assert refusal == {"inputs": ["location_file has changed since the run was requested; request a new run"]}


def test_a_file_that_has_come_or_another_currency_is_refused(api: Api, session: Session, failed: EndedRun) -> None:
    url = f"portfolios/{session.get_one(Analysis, failed.analysis_id).portfolio_id}/"
    api.upload(f"{url}currency_conversion_json/", "{}", "rates.json", "application/json")
    api.post(f"{url}reporting_currency/", {"reporting_currency": "GBP"})

    texts = _refusal(api, session, failed)["inputs"]

    assert [text.split()[0] for text in texts] == ["currency_conversion_json", "reporting_currency"]


def test_other_settings_are_refused(api: Api, session: Session, failed: EndedRun) -> None:
    api.post(f"analyses/{failed.analysis_id}/settings/", ANALYSIS_SETTINGS | {"number_of_samples": 7})

    assert list(_refusal(api, session, failed)) == ["settings_file"]


def test_the_same_settings_uploaded_again_are_the_same_settings(api: Api, session: Session, failed: EndedRun) -> None:
    before = session.get_one(Analysis, failed.analysis_id).settings_file_id
    api.post(f"analyses/{failed.analysis_id}/settings/", ANALYSIS_SETTINGS)
    session.expire_all()
    assert session.get_one(Analysis, failed.analysis_id).settings_file_id != before

    assert _resume(api, failed).status_code == 200


def test_settings_that_the_run_itself_has_recorded_are_no_change(api: Api, failed: EndedRun) -> None:
    record(failed, "settings_file", b'{"edited": "by a hook"}')

    assert _resume(api, failed).status_code == 200


def test_other_data_files_are_refused(api: Api, session: Session, failed: EndedRun) -> None:
    file = File(key="data", filename="data.bin", content_type="x", size=1)
    session.add(file)
    session.flush()
    data = DataFile(file_description="d", file_id=file.id)
    session.add(data)
    session.flush()
    values = {"analysis_id": failed.analysis_id, "data_file_id": data.id}
    session.execute(analysis_data_files.insert().values(**values))
    session.commit()

    assert list(_refusal(api, session, failed)) == ["complex_model_data_files"]


def test_other_chunk_counts_are_refused(api: Api, session: Session, failed: EndedRun) -> None:
    url = f"analyses/{failed.analysis_id}/chunking_configuration/"
    api.post(url, {"fixed_lookup_chunks": 3, "fixed_analysis_chunks": 5})

    assert _refusal(api, session, failed) == {
        "lookup_chunks": ["The run has 2, a new one would have 3; request a new run"],
        "analysis_chunks": ["The run has 2, a new one would have 5; request a new run"],
    }


def test_auto_has_no_count_that_could_be_another_one(api: Api, session: Session, failed: EndedRun) -> None:
    auto = {"lookup_strategy": "AUTO", "loss_strategy": "AUTO"}
    assert api.post(f"analyses/{failed.analysis_id}/chunking_configuration/", auto).status_code == 200

    assert api.post(f"analyses/{failed.analysis_id}/resume/").status_code == 200


@pytest.mark.parametrize("column", ["ver_oasislmf", "ver_ktools", "oasislmf_config"])
def test_another_version_of_the_model_is_refused(api: Api, session: Session, failed: EndedRun, column: str) -> None:
    old, new = ({"a": 1}, {"a": 2}) if column == "oasislmf_config" else ("2.5.7", "2.5.8")
    failed.run.model_version = failed.run.model_version | {column: old}
    session.execute(update(Model).values({column: new}))
    session.commit()

    texts = _refusal(api, session, failed)["model"]

    assert texts == [f"{column} of the model has changed since the run was requested; request a new run"]


def test_a_version_that_was_not_known_at_the_request_is_no_change(api: Api, session: Session, failed: EndedRun) -> None:
    session.execute(update(Model).values(ver_oasislmf="2.5.8", oasislmf_config={"a": 1}))
    session.commit()

    assert _resume(api, failed).status_code == 200


def test_another_model_is_refused(api: Api, session: Session, failed: EndedRun) -> None:
    other = api.model("Other")
    api.post(f"models/{other['id']}/chunking_configuration/", {"fixed_lookup_chunks": 2, "fixed_analysis_chunks": 2})
    api.patch(f"analyses/{failed.analysis_id}/", {"model": other["id"]})

    texts = _refusal(api, session, failed)["model"]

    assert texts[0] == "The analysis has another model since the run was requested; request a new run"


def test_an_object_that_is_gone_is_named(
    api: Api, session: Session, dependencies: Dependencies, failed: EndedRun
) -> None:
    artifacts = failed.sub_task("generate-losses-chunk-0").artifacts
    assert artifacts is not None
    key = artifacts["generate-losses-chunk-0"]["key"]
    dependencies.store.delete(key)

    refusal = _refusal(api, session, failed)

    assert refusal == {"objects": [f"{key} is gone from the object store; request a new run"]}


def test_what_the_clean_up_of_the_inputs_has_removed_is_not_missed(
    api: Api, dependencies: Dependencies, failed: EndedRun
) -> None:
    removed = 0
    for info in list(dependencies.store.list(f"analysis-{failed.analysis_id}_files-{failed.run.run_uuid}/")):
        if "record" not in info.key:
            dependencies.store.delete(info.key)
            removed += 1
    assert removed == 7

    assert _resume(api, failed).status_code == 200


def test_many_objects_that_are_gone_are_not_all_named(
    api: Api, session: Session, dependencies: Dependencies, failed: EndedRun
) -> None:
    stage = session.get_one(StageRow, (failed.run.id, 7))
    stage.artifacts = {f"f{number}": {"key": f"gone/{number:02}", "filename": "f"} for number in range(12)}
    session.commit()

    texts = _refusal(api, session, failed)["objects"]

    assert (len(texts), texts[-1]) == (11, "and 2 more")


def test_a_run_that_has_been_swept_is_refused_though_its_objects_are_still_there(
    api: Api, session: Session, failed: EndedRun
) -> None:
    failed.end("FAILED", objects_swept_at=func.now())

    assert "OASIS_RESUMABLE_FOR" in _refusal(api, session, failed)["objects"][0]


def test_every_reason_is_given_at_once(api: Api, session: Session, failed: EndedRun) -> None:
    api.post(f"analyses/{failed.analysis_id}/chunking_configuration/", {"fixed_analysis_chunks": 5})
    api.post(f"analyses/{failed.analysis_id}/settings/", ANALYSIS_SETTINGS | {"number_of_samples": 7})

    assert set(_refusal(api, session, failed)) == {"settings_file", "analysis_chunks", "lookup_chunks"}


def test_a_run_that_was_cancelled_before_its_plan_goes_on_from_the_one_that_it_goes_on_from(
    api: Api, session: Session, failed: EndedRun
) -> None:
    record(failed, "input_file", b"inputs")
    _resume(api, failed)
    session.rollback()
    unplanned = session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert unplanned is not None
    api.post(f"analyses/{failed.analysis_id}/cancel/")
    session.refresh(unplanned)
    unplanned.state, unplanned.ended_at = RunState.CANCELLED, func.now()
    session.commit()

    answer = _resume(api, failed)

    assert answer.json["status"] == "RUN_QUEUED", answer.text
    newest = session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert newest is not None
    assert newest.resumed_from_id == failed.run.id
    assert session.scalars(select(RunFile.name).where(RunFile.run_id == newest.id)).all() == ["input_file"]


def test_a_copied_sub_task_has_the_logs_and_attempts_of_its_original(
    api: Api, session: Session, engine: Engine, failed: EndedRun
) -> None:
    original = failed.sub_task("collect-keys")
    _resume(api, failed)
    resumed = EndedRun(session, failed.store, {"id": failed.analysis_id})
    copy = resumed.move("collect-keys", "COMPLETED", copied_from_id=original.id)

    url = f"analysis-task-statuses/{copy.id}/"
    assert api.get(f"{url}output_log/").text == "log of collect-keys\n"
    assert (api.get(url).json or {})["output_log"].endswith(f"{url}output_log/")
    attempts: Any = api.get(f"{url}attempts/").json
    assert attempts == api.get(f"analysis-task-statuses/{original.id}/attempts/").json
    assert len(attempts) == 1
    resumed.stop("FAILED", Phase.INPUTS)
    text = api.get(f"analyses/{failed.analysis_id}/input_generation_traceback_file/").text
    assert "=== collect-keys ===\nlog of collect-keys\n" in text
    assert session.scalar(select(func.count()).select_from(SubTask)) == 2 * len(failed_slugs(session, failed))


def failed_slugs(session: Session, failed: EndedRun) -> list[str]:
    """The slugs of the failed run."""
    return list(session.scalars(select(SubTask.slug).where(SubTask.run_id == failed.run.id)))
