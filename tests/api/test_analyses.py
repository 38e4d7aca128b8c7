"""analyses/: oasis_api.md section 1.5."""

import json
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.execution import Outbox, Run
from shared.database.resources import Analysis, File
from shared.messages.catalogue import ChangePriority
from shared.messages.envelope import decode
from tests.api.api_client import ANALYSIS_SETTINGS, Api

V2_KEYS = {
    "created",
    "modified",
    "name",
    "id",
    "portfolio",
    "model",
    "status",
    "run_mode",
    "task_started",
    "task_finished",
    "complex_model_data_files",
    "input_file",
    "settings_file",
    "settings",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
    "input_generation_traceback_file",
    "output_file",
    "run_traceback_file",
    "run_log_file",
    "storage_links",
    "chunking_configuration",
    "lookup_chunks",
    "analysis_chunks",
    "sub_task_count",
    "sub_task_list",
    "sub_task_error_ids",
    "status_count",
    "groups",
    "priority",
    "num_events_complete",
    "num_events_total",
}
V2_ONLY = {
    "run_mode",
    "chunking_configuration",
    "lookup_chunks",
    "analysis_chunks",
    "sub_task_count",
    "sub_task_list",
    "sub_task_error_ids",
    "status_count",
    "groups",
    "priority",
}
NOTHING = {
    "TOTAL_IN_QUEUE": 0,
    "TOTAL": 0,
    "PENDING": 0,
    "QUEUED": 0,
    "STARTED": 0,
    "COMPLETED": 0,
    "CANCELLED": 0,
    "ERROR": 0,
}


def test_an_analysis_has_exactly_these_keys(api: Api) -> None:
    analysis = api.analysis()

    assert set(analysis) == V2_KEYS
    assert len(V2_KEYS) == 34
    assert (analysis["status"], analysis["priority"], analysis["status_count"]) == ("NEW", 4, NOTHING)
    assert (analysis["settings"], analysis["input_file"], analysis["num_events_total"]) == (None, None, 0)
    assert analysis["sub_task_list"] == f"http://localhost/v2/analyses/{analysis['id']}/sub_task_list/"
    assert api.get(f"analyses/{analysis['id']}/").json == analysis
    assert api.get("analyses/").json == [analysis]


def test_v1_has_fewer_keys_and_texts_in_its_list(api: Api) -> None:
    analysis = api.analysis(model=api.model(run_mode="V1"))

    body = api.get(f"/v1/analyses/{analysis['id']}/").json
    listed = api.get("/v1/analyses/").json

    assert body is not None
    assert set(body) == V2_KEYS - V2_ONLY
    assert len(body) == 24
    assert body["num_events_total"] == 0
    assert listed == [body | {"num_events_total": "0", "num_events_complete": "0"}]


def test_wrong_analyses_are_refused(api: Api) -> None:
    portfolio, model = api.portfolio(), api.model()
    deleted, unknown = api.model("Deleted"), api.model("Unknown", None)
    api.delete(f"models/{deleted['id']}/")
    good = {"name": "a", "portfolio": portfolio["id"], "model": model["id"]}
    cases: list[tuple[Any, Any]] = [
        ({}, {"name": ["This field is required."], "portfolio": ["This field is required."]}),
        (good | {"portfolio": 99}, {"portfolio": ['Invalid pk "99" - object does not exist.']}),
        (good | {"portfolio": {}}, {"portfolio": ["Incorrect type. Expected pk value, received dict."]}),
        (
            good | {"portfolio": api.portfolio(None)["id"]},
            {"portfolio": ['either "location_file" or "accounts_file" must not be null']},
        ),
        (good | {"model": deleted["id"]}, {"model": [f'Invalid pk "{deleted["id"]}" - object does not exist.']}),
        (good | {"model": unknown["id"]}, {"model": [f"Model pk \"{unknown['id']}\" - 'run_mode' must not be null"]}),
        (good | {"priority": 11}, {"priority": ["Ensure this value is less than or equal to 10."]}),
        (good | {"priority": 0}, {"priority": ["Ensure this value is greater than or equal to 1."]}),
        (good | {"priority": "high"}, {"priority": ["A valid integer is required."]}),
        (
            good | {"complex_model_data_files": [7]},
            {"complex_model_data_files": ['Invalid pk "7" - object does not exist.']},
        ),
        (
            good | {"settings": {"model_name_id": "a", "model_supplier_id": "b"}},
            {"analysis_settings_schema required": ["'model_settings' is a required property"]},
        ),
    ]

    for body, errors in cases:
        answer = api.post("analyses/", body)
        assert (answer.status_code, answer.json) == (400, errors), body
    v1 = api.post("/v1/analyses/", good)
    assert v1.json == {
        "model": [f"Model pk '{model['id']}' - Unsupported Operation, 'run_mode' must be 'V1', not 'V2'"]
    }
    assert api.get("analyses/").json == []


def test_an_analysis_needs_no_model(api: Api) -> None:
    analysis = api.create("analyses/", {"name": "a", "portfolio": api.portfolio()["id"]})

    assert (analysis["model"], analysis["run_mode"]) == (None, None)


def test_high_priorities_are_for_administrators(api: Api, user_api: Api) -> None:
    refusal = {"priority": ["Levels restricted to administrators: [8, 9, 10]"]}
    body = {"name": "a", "portfolio": api.portfolio()["id"], "model": api.model()["id"]}

    assert user_api.post("analyses/", body | {"priority": 8}).json == refusal
    analysis = user_api.create("analyses/", body | {"priority": 7})
    url = f"analyses/{analysis['id']}/"
    assert user_api.patch(url, {"priority": 10}).json == refusal
    assert (user_api.get(url).json or {})["priority"] == 7
    assert (api.patch(url, {"priority": 10}).json or {})["priority"] == 10


def test_a_new_priority_reaches_the_queued_run(api: Api, session: Session) -> None:
    url = f"analyses/{api.analysis()['id']}/"
    api.post(f"{url}generate_inputs/")

    api.patch(url, {"priority": 6})
    api.patch(url, {"priority": 6, "name": "same priority"})

    run = session.scalars(select(Run)).one()
    messages = [decode(row.body) for row in session.scalars(select(Outbox))]
    assert [each for each in messages if isinstance(each, ChangePriority)] == [ChangePriority(run.id, 6)]


def test_an_analysis_is_changed(api: Api) -> None:
    analysis = api.analysis()
    data_file = api.create("data_files/", {"file_description": "a"})
    url = f"analyses/{analysis['id']}/"

    patched: Any = api.patch(url, {"name": "b", "complex_model_data_files": [data_file["id"]]}).json
    assert (patched["name"], patched["complex_model_data_files"]) == ("b", [data_file["id"]])
    assert api.get(f"{url}data_files/").json == [data_file]
    assert api.put(url, {"name": "c"}).json == {"portfolio": ["This field is required."]}
    put: Any = api.put(url, {"name": "c", "portfolio": analysis["portfolio"], "model": None}).json
    assert (put["name"], put["model"]) == ("c", None)


def test_settings_come_back_with_their_old_and_new_names(api: Api) -> None:
    url = f"analyses/{api.analysis()['id']}/"
    assert api.get(f"{url}settings/").status_code == 404

    posted: Any = api.post(f"{url}settings/", ANALYSIS_SETTINGS).json
    assert posted["filename"] == "analysis_settings.json"
    mirrored = ANALYSIS_SETTINGS | {"module_supplier_id": "OasisLMF", "model_version_id": "PiWind"}
    assert api.get(f"{url}settings/").json == mirrored
    sent = api.get(f"{url}settings_file/")
    assert sent.headers["Content-Disposition"] == 'attachment; filename="analysis_settings.json"'
    assert json.loads(sent.data) == mirrored
    assert (api.get(f"{url}storage_links/").json or {})["settings_file"] == posted["file"]
    body: Any = api.get(url).json
    assert (body["settings"], body["settings_file"]) == (
        f"http://localhost/v2/{url}settings/",
        f"http://localhost/v2/{url}settings_file/",
    )
    assert api.delete(f"{url}settings/").status_code == 200
    assert api.get(f"{url}settings/").status_code == api.delete(f"{url}settings_file/").status_code == 404


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"gul_output": "yes"}, {"analysis_settings_schema gul_output": ["'yes' is not of type 'boolean'"]}),
        ({"gul_output": False}, {"no output": ["no output selected, please enable at least one output"]}),
        ({"il_output": True}, {"il_summaries missing": ["il_output requested but il_summaries missing"]}),
        ({"gul_summaries": [{"id": 1}, {"id": 1}]}, {"gul_summaries": ["id 1 is duplicated"]}),
    ],
)
def test_settings_that_make_no_sense_are_refused(api: Api, changes: dict[str, Any], errors: Any) -> None:
    url = f"analyses/{api.analysis()['id']}/settings/"

    answer = api.post(url, ANALYSIS_SETTINGS | changes)

    assert (answer.status_code, answer.json) == (400, errors)
    assert api.get(url).status_code == 404


def test_a_settings_file_is_taken_as_it_is(api: Api) -> None:
    url = f"analyses/{api.analysis()['id']}/settings_file/"

    assert api.upload(url, b'{"any": 1}', "mine.json", "application/json").status_code == 200
    assert api.get(url).data == b'{"any": 1}'
    assert api.upload(url, b"x", "mine.csv").json == {"file": ["File should be one of [application/json]"]}


def test_a_copy_has_settings_of_its_own_and_no_results(api: Api, session: Session) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS, priority=5)
    url = f"analyses/{analysis['id']}/"
    api.post(f"{url}chunking_configuration/", {"fixed_lookup_chunks": 3})
    api.post(f"{url}generate_inputs/")

    answer = api.post(f"{url}copy/")
    copied: Any = answer.json

    assert answer.status_code == 200
    assert (copied["name"], copied["status"], copied["priority"]) == ("an analysis - Copy", "NEW", 5)
    assert (copied["sub_task_count"], copied["task_started"]) == (0, None)
    assert len({file.key for file in session.scalars(select(File).where(File.filename.like("%settings%")))}) == 2
    api.delete(url)
    assert api.get(f"analyses/{copied['id']}/settings/").status_code == 200
    chunking: Any = api.get(f"analyses/{copied['id']}/chunking_configuration/").json
    assert chunking["fixed_lookup_chunks"] == 3
    named: Any = api.post(f"analyses/{copied['id']}/copy/", {"name": "mine"}).json
    assert named["name"] == "mine"


def test_deleting_an_analysis_cancels_and_releases(api: Api, session: Session) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    url = f"analyses/{analysis['id']}/"
    api.post(f"{url}generate_inputs/")

    assert api.delete(url).status_code == 204

    assert api.get(url).status_code == 404
    assert session.scalars(select(Analysis)).all() == session.scalars(select(Run)).all() == []
    assert any(b"CancelRun" in row.body for row in session.scalars(select(Outbox)))
    settings = session.scalars(select(File).where(File.filename == "analysis_settings.json")).one()
    assert settings.released_at is not None


def test_analyses_are_filtered(api: Api) -> None:
    model = api.model()
    analysis = api.analysis(model=model)
    api.analysis(model=api.model("Other"))
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    found = {
        "status=NEW": 1,
        "status__in=NEW,INPUTS_GENERATION_QUEUED": 2,
        "status__in=NEW&status__in=INPUTS_GENERATION_QUEUED": 2,
        "status=": 2,
        f"model={model['id']}": 1,
        f"model__in={model['id']},99": 1,
        "run_mode=V2": 1,
        "run_mode__in=V1": 0,
        "name__contains=AN": 2,
        "user=admin&name=an%20analysis": 2,
    }

    for query, count in found.items():
        assert len(api.get(f"analyses/?{query}").json or []) == count, query
    # The first version has no modes, and what is not known is no filter.
    assert len(api.get("/v1/analyses/?run_mode=V1&run_mode__in=X").json or []) == 2
    assert api.get("analyses/?status=X").json == {
        "status": ["Select a valid choice. X is not one of the available choices."]
    }
    assert api.get("analyses/?model=abc").status_code == 400
