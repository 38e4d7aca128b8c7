"""Every refusal of a run, which leaves everything as it was: oasis_api.md section 2.1."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.execution import Run
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.run_requests import GENERATE_STATES, refused


def test_an_analysis_without_a_model_runs_nothing(api: Api, session: Session) -> None:
    analysis = api.create("analyses/", {"name": "a", "portfolio": api.portfolio()["id"]})
    body = {"model": "Model not assigned to analysis"}

    for action in (
        "generate_inputs/",
        "run/",
        "generate_and_run/",
        "cancel_generate_inputs/",
        "cancel_analysis_run/",
    ):
        refused(api, session, analysis, action, body)
    refused(api, session, analysis, "cancel/", {"status": ["Analysis is not running or queued"]})


def test_a_v1_model_that_is_scaled_by_sub_tasks_runs_nothing(api: Api, session: Session) -> None:
    model = api.model()
    api.post(f"models/{model['id']}/scaling_configuration/", {"scaling_strategy": "DYNAMIC_TASKS"})
    api.patch(f"models/{model['id']}/", {"run_mode": "V1"})
    analysis = api.analysis(model=model)

    for action in ("generate_inputs/", "run/", "generate_and_run/"):
        refused(api, session, analysis, action, ["Model has invalid scaling setting"])


def test_inputs_are_refused_with_all_reasons_at_once(api: Api, session: Session, put_in: Callable[..., None]) -> None:
    portfolio, model = api.portfolio(), api.model()
    analysis = api.analysis(portfolio, model)
    put_in(analysis, "RUN_STARTED")
    api.delete(f"models/{model['id']}/")
    api.delete(f"portfolios/{portfolio['id']}/location_file/")
    deleted = f'Model pk "{model["id"]}" has been deleted'

    refused(
        api,
        session,
        analysis,
        "generate_inputs/",
        {
            "status": [GENERATE_STATES],
            "model": [deleted],
            "portfolio": ['"location_file" must not be null for run_mode = V2'],
        },
    )
    refused(
        api,
        session,
        analysis,
        "generate_inputs/?run_mode_override=V1",
        {
            "status": [GENERATE_STATES],
            "model": [deleted],
            "portfolio": ['Either "location_file" or "accounts_file" must not be null for run_mode = V1'],
        },
    )
    refused(
        api,
        session,
        analysis,
        "generate_and_run/",
        {
            "status": [GENERATE_STATES],
            "model": [deleted],
            "settings_file": ["Must not be null"],
            "portfolio": ['"location_file" must not be null'],
        },
    )


@pytest.mark.parametrize("override", ["V3", "v2"])
def test_a_run_mode_that_does_not_exist_comes_first(
    api: Api, session: Session, put_in: Callable[..., None], override: str
) -> None:
    analysis = api.analysis()
    put_in(analysis, "RUN_STARTED")
    body = {"run_mode": ["run_mode must be  [V1, V2]"]}

    refused(api, session, analysis, f"generate_inputs/?run_mode_override={override}", body)


def test_a_model_without_a_run_mode_needs_an_override(
    api: Api, session: Session, input_file: Callable[..., None]
) -> None:
    model = api.model()
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS)
    input_file(analysis)
    api.patch(f"models/{model['id']}/", {"run_mode": None})

    refused(api, session, analysis, "generate_inputs/", {"run_mode": ["run_mode must be  [V1, V2]"]})
    refused(api, session, analysis, "run/", {"model": [f'Model pk "{model["id"]}" - "run_mode" must not be null']})
    assert api.post(f"analyses/{analysis['id']}/run/?run_mode_override=V1").status_code == 200
    assert session.scalars(select(Run)).one().model_queue == "OasisLMF-PiWind-1"


def test_a_location_file_without_rows_is_refused(api: Api, session: Session) -> None:
    analysis = api.analysis(api.portfolio("PortNumber,AccNumber,LocNumber\n"), settings=ANALYSIS_SETTINGS)
    body = {"portfolio": ['"location_file" must at least one row']}

    refused(api, session, analysis, "generate_inputs/", body)
    refused(api, session, analysis, "generate_and_run/", body)


@pytest.mark.parametrize("end", [bytes(range(256)), b"\x1f\x8b"])
def test_a_location_file_that_is_rubbish_is_refused_with_the_reason(api: Api, session: Session, end: bytes) -> None:
    analysis = api.analysis(api.portfolio(b"A,B\n" * 20_000 + end))

    for action in ("generate_inputs/", "generate_and_run/"):
        answer: Any = api.post(f"analyses/{analysis['id']}/{action}").json
        assert answer["portfolio"][0].startswith("Failed to read location file size for chunking: ")
    assert (api.get(f"analyses/{analysis['id']}/").json or {})["status"] == "NEW"
    assert session.scalars(select(Run)).all() == []


def test_both_phases_need_a_v2_model(api: Api, session: Session) -> None:
    model = api.model(run_mode="V1")
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS)
    text = f'Model pk "{model["id"]}" - Unsupported Operation, "run_mode" must be "V2", not "V1"'

    refused(api, session, analysis, "generate_and_run/", {"model": [text]})


def test_losses_without_their_files_are_refused(api: Api, session: Session, put_in: Callable[..., None]) -> None:
    analysis = api.analysis()
    put_in(analysis, "READY")

    refused(
        api,
        session,
        analysis,
        "run/",
        {"analysis_settings_file": ["Must not be null"], "input_file": ["Must not be null"]},
    )


def test_v1_runs_v1_models_only(api: Api, session: Session) -> None:
    model = api.model()
    analysis = api.analysis(model=model)
    text = f"Model pk {model['id']}' - Unsupported Operation, 'run_mode' must be 'V1', not 'V2'"

    for action in ("generate_inputs", "run"):
        answer = api.post(f"/v1/analyses/{analysis['id']}/{action}/")
        assert (answer.status_code, answer.json) == (400, {"model": [text]})
    assert api.post(f"/v1/analyses/{analysis['id']}/generate_and_run/").status_code == 404

    one = api.analysis(model=api.model("One", "V1"))
    answer = api.post(f"/v1/analyses/{one['id']}/generate_inputs/")
    assert answer.status_code == 200
    run = session.scalars(select(Run)).one()
    assert (run.run_mode, run.model_queue) == ("V1", "OasisLMF-One-1")
    assert api.post(f"/v1/analyses/{one['id']}/cancel/").status_code == 200


@pytest.mark.parametrize("action", ["generate_inputs", "run", "generate_and_run", "cancel", "copy"])
def test_an_unknown_analysis_is_404(api: Api, action: str) -> None:
    assert api.post(f"analyses/99/{action}/").status_code == 404
