"""Sub-tasks, their logs, and the progress of analyses: oasis_api.md sections 1.5, 1.7 and 2.2."""

from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.database.execution import StageRow
from shared.database.resources import Analysis
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.executed import Execution

KEYS = [
    "id",
    "task_id",
    "status",
    "queue_name",
    "name",
    "slug",
    "pending_time",
    "queue_time",
    "start_time",
    "end_time",
    "output_log",
    "error_log",
    "retry_log",
    "retry_count",
]


@pytest.fixture
def execution(api: Api, session: Session, dependencies: Dependencies) -> Execution:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200
    return Execution(session, dependencies.store, analysis)


def test_sub_tasks_are_listed_in_order(api: Api, execution: Execution) -> None:
    listed: Any = api.get(f"analyses/{execution.analysis_id}/sub_task_list/").json

    assert len(listed) == 2 + 2 + 11
    assert list(listed[0]) == KEYS
    assert listed[2]["slug"] == "prepare-keys-file-0"
    assert (listed[6]["slug"], listed[6]["queue_name"]) == ("record-input-files", "celery-v2")
    assert (listed[0]["status"], listed[0]["queue_time"], listed[0]["retry_count"]) == ("PENDING", None, 0)
    assert len(listed[0]["task_id"]) == 36


def test_a_task_status_is_read_only(api: Api, execution: Execution) -> None:
    url = f"analysis-task-statuses/{execution.sub_task('collect-keys').id}/"
    before = api.get(url).json

    for answer in (api.put(url, {"status": "ERROR", "id": 1}), api.patch(url, {"slug": "x"}), api.patch(url)):
        assert (answer.status_code, answer.json) == (200, before)
    assert api.patch(url, [1]).status_code == 400
    assert api.patch("analysis-task-statuses/99999/", {}).status_code == 404
    # A sub-task is part of the history of its run, and goes with it.
    assert api.delete(url).status_code == api.delete(f"{url}output_log/").status_code == 405
    assert api.get(url).json == before


def test_sub_tasks_are_filtered(api: Api, execution: Execution) -> None:
    execution.move("collect-keys", "COMPLETED")
    url = f"analyses/{execution.analysis_id}/sub_task_list/"

    assert [each["slug"] for each in api.get(f"{url}?subtask_status=COMPLETED").json or []] == ["collect-keys"]
    assert len(api.get(f"{url}?subtask_slug=KEYS-FILE").json or []) == 2
    statuses: Any = api.get("analysis-task-statuses/?status=COMPLETED").json
    assert [each["slug"] for each in statuses] == ["collect-keys"]
    assert len(api.get(f"analysis-task-statuses/?task_id={statuses[0]['task_id']}").json or []) == 1
    assert len(api.get("analysis-task-statuses/?queue_name=CELERY-v2&name__contains=record").json or []) == 2
    mine = "user=ADMIN&created__gte=2020-01-01&modified__lt=2999-01-01"
    assert len(api.get(f"analysis-task-statuses/?{mine}").json or []) == 15
    for none in ("user=nobody", "created__lt=2020-01-01", "modified__date=2020-01-01"):
        assert api.get(f"analysis-task-statuses/?{none}").json == []
    for wrong in ("status=X", "created=yesterday"):
        assert api.get(f"analysis-task-statuses/?{wrong}").status_code == 400


def test_the_counts_of_an_analysis_are_those_of_its_run(api: Api, execution: Execution) -> None:
    failed = execution.move("prepare-keys-file-1", "ERROR")
    execution.move("prepare-keys-file-0", "STARTED")
    execution.move("pre-analysis-hook", "COMPLETED")
    execution.move("prepare-input-generation-params", "CANCELLED")
    execution.move("collect-keys", "QUEUED", events_total=77)
    execution.move("generate-losses-chunk-0", "STARTED", events_total=100, events_complete=30)
    execution.move("generate-losses-chunk-1", "STARTED", events_total=100, events_complete=5)

    body: Any = api.get(f"analyses/{execution.analysis_id}/").json

    assert body["status_count"] == {
        "TOTAL_IN_QUEUE": 12,
        "TOTAL": 15,
        "PENDING": 8,
        "QUEUED": 1,
        "STARTED": 3,
        "COMPLETED": 1,
        "CANCELLED": 1,
        "ERROR": 1,
    }
    assert (body["sub_task_count"], body["sub_task_error_ids"]) == (15, [failed.id])
    assert (body["num_events_total"], body["num_events_complete"]) == (100, 35)
    assert api.get("analyses/").json == [body]
    progress = api.get(f"analyses/{execution.analysis_id}/run_progress/").json
    assert progress == {"Status": "35/100 gul stages complete"}


def test_a_new_run_replaces_the_sub_tasks_of_the_old_one(api: Api, execution: Execution) -> None:
    url = f"analyses/{execution.analysis_id}/"
    old = execution.sub_task("collect-keys").id
    api.post(f"{url}cancel/")
    api.post(f"{url}generate_inputs/")

    assert api.get(f"{url}sub_task_list/").json == []
    assert (api.get(url).json or {})["status_count"]["TOTAL"] == 0
    listed: Any = api.get("analysis-task-statuses/").json
    assert old not in {each["id"] for each in listed}
    assert (api.get(f"analysis-task-statuses/{old}/").json or {})["slug"] == "collect-keys"


def test_a_sub_task_has_the_logs_that_there_are(api: Api, execution: Execution) -> None:
    sub_task = execution.sub_task("collect-keys")
    url = f"analysis-task-statuses/{sub_task.id}/"
    for name in ("output_log", "error_log", "retry_log"):
        assert api.get(f"{url}{name}/").status_code == 404

    execution.attempt("collect-keys", "failed", "log one\n", message="no memory", cause="model error")
    execution.attempt("collect-keys", "drained", cause="drained")
    execution.attempt("collect-keys", "lost", message="worker gone", cause="worker lost")
    execution.attempt("collect-keys", "failed", "log four\n", message="no disk", cause="model error")
    execution.move("collect-keys", "ERROR", retry_count=2)

    body: Any = api.get(url).json
    assert [body[name] for name in ("output_log", "error_log", "retry_log")] == [
        f"http://localhost/v2/{url}{name}/" for name in ("output_log", "error_log", "retry_log")
    ]
    output = api.get(f"{url}output_log/")
    assert (output.text, output.headers["Content-Type"]) == ("log four\n", "text/plain")
    assert f"{body['task_id']}-output.log" in output.headers["Content-Disposition"]
    assert api.get(f"{url}error_log/").text == "no disk"
    assert api.get(f"{url}retry_log/").text == (
        "\n=== collect-keys, try=1  ===\nno memory\nlog one\n"
        "\n=== collect-keys, try=2  ===\nworker gone\n"
        "\n=== collect-keys, try=3  ===\nno disk\nlog four\n"
    )


def test_a_log_whose_object_is_gone_is_empty(api: Api, execution: Execution, dependencies: Dependencies) -> None:
    key = execution.attempt("collect-keys", "completed", "text")
    dependencies.store.delete(str(key))
    sub_task = execution.move("collect-keys", "COMPLETED")

    answer = api.get(f"analysis-task-statuses/{sub_task.id}/output_log/")

    assert (answer.status_code, answer.data) == (200, b"")
    listed: Any = api.get(f"analyses/{execution.analysis_id}/sub_task_list/").json
    assert next(each for each in listed if each["slug"] == "collect-keys")["error_log"] is None


def test_status_and_counts_belong_together_while_they_change(api: Api, execution: Execution, engine: Engine) -> None:
    """A writer moves the status and the counters in one transaction; no reader may see one without the other."""
    stop, seen = Event(), set()
    stages = {"INPUTS_GENERATION_STARTED": (1, 0), "READY": (0, 1)}

    def write() -> None:
        with Session(engine) as session:
            while not stop.is_set():
                for status, (started, completed) in stages.items():
                    stage = session.get_one(StageRow, (execution.run.id, 0))
                    stage.pending, stage.started, stage.completed = 0, started, completed
                    session.get_one(Analysis, execution.analysis_id).status = status
                    session.commit()

    writer = Thread(target=write)
    writer.start()
    try:
        for number in range(150):
            path = f"analyses/{execution.analysis_id}/"
            body: Any = api.get(path).json if number % 2 else (api.get("analyses/").json or [None])[0]
            count = body["status_count"]
            seen.add((body["status"], count["STARTED"], count["COMPLETED"]))
    finally:
        stop.set()
        writer.join()

    possible = {(status, *counts) for status, counts in stages.items()}
    assert seen - {("INPUTS_GENERATION_QUEUED", 0, 0)} == possible
