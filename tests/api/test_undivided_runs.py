"""What clients see of a run of v1: an analysis that has no sub-tasks. Source: oasis_api.md sections 1.5 and 2.1."""

import pytest
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.executed import Execution


@pytest.fixture
def execution(api: Api, session: Session, dependencies: Dependencies) -> Execution:
    analysis = api.analysis(model=api.model(run_mode="V1"), settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 200
    return Execution(session, dependencies.store, analysis)


def test_a_run_of_v1_shows_no_sub_tasks(api: Api, execution: Execution) -> None:
    execution.move("generate-input", "STARTED")

    body = api.get(f"analyses/{execution.analysis_id}/").json or {}

    assert (body["run_mode"], body["sub_task_count"], body["sub_task_error_ids"]) == ("V1", 0, [])
    assert set(body["status_count"].values()) == {0}
    assert api.get(f"analyses/{execution.analysis_id}/sub_task_list/").json == []
    assert api.get("analysis-task-statuses/").json == []


def test_a_failed_or_cancelled_run_of_v1_shows_none_either(api: Api, execution: Execution) -> None:
    execution.move("generate-input", "ERROR")
    execution.end("FAILED")
    execution.analysis(status="INPUTS_GENERATION_ERROR", run_mode=None)

    body = api.get(f"analyses/{execution.analysis_id}/").json or {}

    assert (body["run_mode"], body["sub_task_error_ids"], body["status_count"]["TOTAL"]) == (None, [], 0)


def test_the_history_shows_how_a_run_of_v1_is_executed(api: Api, execution: Execution) -> None:
    url = f"analyses/{execution.analysis_id}/runs/{execution.run.id}/"

    slugs = [row["slug"] for row in api.get(f"{url}sub_task_list/").json or []]

    assert slugs == ["generate-input", "record-input-files", "cleanup-input-generation"]
    assert (api.get(url).json or {})["sub_task_count"] == 3


def test_the_log_of_the_one_step_is_the_traceback_file(api: Api, execution: Execution) -> None:
    execution.attempt("generate-input", "completed", log="the log of the step\n")
    execution.attempt("record-input-files", "completed", log="recorded\n")
    execution.analysis(status="READY", inputs_traceback_run_id=execution.run.id)

    answer = api.get(f"/v1/analyses/{execution.analysis_id}/input_generation_traceback_file/")

    assert answer.text == "the log of the step\n"


def test_a_failure_goes_before_the_log(api: Api, execution: Execution) -> None:
    execution.attempt("generate-input", "failed", log="the log of the step\n", message="ValueError: no")
    execution.move("generate-input", "ERROR")
    execution.end("FAILED")
    execution.analysis(status="INPUTS_GENERATION_ERROR", inputs_traceback_run_id=execution.run.id)

    answer = api.get(f"analyses/{execution.analysis_id}/input_generation_traceback_file/")

    assert answer.text == "\n=== Trace Back ===\nValueError: no\nthe log of the step\n"
