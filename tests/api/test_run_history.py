"""Every run of an analysis stays readable: its sub-tasks, its files, its logs."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.core.plan import Phase
from shared.database.execution import Removal, Run, RunFile
from tests.api.api_client import Api
from tests.api.ended_run import EndedRun, ended_run, record
from tests.api.executed import Execution

KEYS = [
    "id",
    "run_uuid",
    "kind",
    "run_mode",
    "state",
    "priority",
    "requested",
    "requested_by",
    "ended",
    "lookup_chunks",
    "analysis_chunks",
    "chunk_advice",
    "sub_task_count",
    "sub_task_error_ids",
    "status_count",
    "error",
    "resumed_from",
    "sub_task_list",
    "files",
]


@pytest.fixture
def first(api: Api, session: Session, dependencies: Dependencies) -> EndedRun:
    """A run that failed in its losses, behind which another one has been requested."""
    run = ended_run(api, session, dependencies.store)
    run.complete_before("generate-losses-chunk-1")
    record(run, "input_file", b"the inputs of the first run")
    run.stop("FAILED", Phase.LOSSES)
    assert api.post(f"analyses/{run.analysis_id}/generate_inputs/").status_code == 200
    return run


def test_an_analysis_that_never_ran_has_no_runs(api: Api) -> None:
    assert api.get(f"analyses/{api.analysis()['id']}/runs/").json == []


def test_all_runs_are_listed_newest_first(user_api: Api, first: EndedRun) -> None:
    url = f"analyses/{first.analysis_id}/runs/"

    listed: Any = user_api.get(url).json

    assert [(each["kind"], each["state"]) for each in listed] == [
        ("generate_inputs", "REQUESTED"),
        ("generate_and_run", "FAILED"),
    ]
    old = listed[1]
    assert list(old) == KEYS
    assert (old["id"], old["run_uuid"], old["requested_by"]) == (first.run.id, first.run.run_uuid, "admin")
    assert (old["lookup_chunks"], old["analysis_chunks"], old["resumed_from"]) == (2, 2, None)
    assert old["ended"] is not None
    assert (old["status_count"]["TOTAL"], old["status_count"]["COMPLETED"]) == (15, 11)
    assert old["sub_task_list"] == f"http://localhost/v2/{url}{old['id']}/sub_task_list/"
    names = ["input_file", "input_generation_traceback_file", "run_traceback_file"]
    assert old["files"] == {name: f"http://localhost/v2/{url}{old['id']}/files/{name}/" for name in names}
    assert (listed[0]["ended"], listed[0]["files"]) == (None, {})
    assert user_api.get(f"{url}{old['id']}/").json == old


def test_the_sub_tasks_of_an_earlier_run_are_listed_and_found(api: Api, user_api: Api, first: EndedRun) -> None:
    url = f"analyses/{first.analysis_id}/runs/{first.run.id}/sub_task_list/"

    listed: Any = user_api.get(url).json

    assert [each["slug"] for each in listed][:2] == ["prepare-input-generation-params", "pre-analysis-hook"]
    assert len(listed) == 15
    assert len(user_api.get(f"{url}?subtask_status=CANCELLED").json or []) == 4
    assert api.get(f"analyses/{first.analysis_id}/sub_task_list/").json == []
    sub_task = f"analysis-task-statuses/{listed[0]['id']}/"
    assert api.get(sub_task).json == listed[0]
    assert api.get(f"{sub_task}output_log/").text == "log of prepare-input-generation-params\n"
    assert len(api.get(f"{sub_task}attempts/").json or []) == 1


def test_the_files_of_an_earlier_run_are_sent(api: Api, first: EndedRun) -> None:
    url = f"analyses/{first.analysis_id}/runs/{first.run.id}/files/"
    assert (api.get(f"analyses/{first.analysis_id}/").json or {})["input_file"] is None

    answer = api.get(f"{url}input_file/")

    assert (answer.text, answer.headers["Content-Type"]) == ("the inputs of the first run", "text/plain")
    assert "input_file.txt" in answer.headers["Content-Disposition"]
    assert "=== generate-losses-chunk-0 ===\nlog of" in api.get(f"{url}run_traceback_file/").text
    assert api.get(f"{url}output_file/").status_code == 404
    assert api.get(f"{url}nonsense/").status_code == 404


def test_a_traceback_appears_when_its_run_has_ended(api: Api, session: Session, first: EndedRun) -> None:
    newest = session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert newest is not None
    url = f"analyses/{first.analysis_id}/runs/{newest.id}/files/input_generation_traceback_file/"
    assert api.get(url).status_code == 404

    Execution(session, first.store, {"id": first.analysis_id}).end("CANCELLED", ended_at=func.now())

    assert api.get(url).status_code == 200
    assert api.get(url.replace("input_generation_traceback_file", "run_traceback_file")).status_code == 404


def test_a_run_is_found_below_its_own_analysis_only(api: Api, first: EndedRun) -> None:
    other = api.analysis(model={"id": 1})
    for path in ("", "sub_task_list/", "files/input_file/"):
        assert api.get(f"analyses/{other['id']}/runs/{first.run.id}/{path}").status_code == 404
        assert api.get(f"analyses/{first.analysis_id}/runs/999999/{path}").status_code == 404
    assert api.get("analyses/999999/runs/").status_code == 404
    assert api.get(f"/v1/analyses/{first.analysis_id}/runs/").status_code == 404


def test_a_file_that_is_deleted_from_the_analysis_is_gone_from_its_history(
    api: Api, session: Session, dependencies: Dependencies
) -> None:
    run = ended_run(api, session, dependencies.store)
    record(run, "output_file", b"losses")

    assert api.delete(f"analyses/{run.analysis_id}/output_file/").status_code == 200

    assert session.scalar(select(func.count()).select_from(RunFile)) == 0
    assert api.get(f"analyses/{run.analysis_id}/runs/{run.run.id}/files/output_file/").status_code == 404


@pytest.mark.parametrize("what", ["analyses", "portfolios"])
def test_the_objects_of_the_runs_of_a_deleted_analysis_are_noted_for_removal(
    api: Api, session: Session, first: EndedRun, what: str
) -> None:
    uuids = session.scalars(select(Run.run_uuid)).all()
    body: Any = api.get(f"analyses/{first.analysis_id}/").json

    pk = first.analysis_id if what == "analyses" else body["portfolio"]
    assert api.delete(f"{what}/{pk}/").status_code == 204

    session.rollback()
    prefixes = {
        prefix
        for uuid in uuids
        for prefix in (
            f"logs/run-{uuid}/",
            f"analysis-{first.analysis_id}_files-{uuid}/",
            f"analysis-{first.analysis_id}_losses-{uuid}/",
        )
    }
    assert set(session.scalars(select(Removal.prefix))) == prefixes
    assert session.scalar(select(func.min(Removal.not_before) > func.now()))
