"""Cancelling runs: oasis_api.md section 2.1."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.core.states import RunState
from shared.database.execution import Outbox, Run
from shared.messages.catalogue import CancelRun
from shared.messages.envelope import decode
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.run_requests import GENERATE_STATES, RUN_STATES, refused


@pytest.mark.parametrize(
    ("action", "status", "cancelled", "refusal"),
    [
        ("cancel", "INPUTS_GENERATION_STARTED", "INPUTS_GENERATION_CANCELLED", "Analysis is not running or queued"),
        ("cancel", "RUN_STARTED", "RUN_CANCELLED", "Analysis is not running or queued"),
        (
            "cancel_generate_inputs",
            "INPUTS_GENERATION_STARTED",
            "INPUTS_GENERATION_CANCELLED",
            "Analysis input generation is not running or queued",
        ),
        (
            "cancel_analysis_run",
            "RUN_STARTED",
            "RUN_CANCELLED",
            "Analysis execution is not running or queued",
        ),
    ],
)
def test_cancelling_is_a_row_and_can_be_done_once(
    api: Api,
    session: Session,
    put_in: Callable[..., None],
    action: str,
    status: str,
    cancelled: str,
    refusal: str,
) -> None:
    analysis = api.analysis()
    refused(api, session, analysis, f"{action}/", {"status": [refusal]})
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    put_in(analysis, status)

    answer: Any = api.post(f"analyses/{analysis['id']}/{action}/").json

    assert (answer["status"], answer["run_mode"]) == (cancelled, None)
    assert answer["task_finished"] is not None
    run = session.scalars(select(Run)).one()
    assert run.state == RunState.CANCELLING
    assert decode(session.scalars(select(Outbox).order_by(Outbox.id.desc()).limit(1)).one().body) == CancelRun(run.id)
    refused(api, session, analysis, f"{action}/", {"status": [refusal]})


def test_each_phase_has_its_own_cancel(api: Api, session: Session, put_in: Callable[..., None]) -> None:
    analysis = api.analysis()
    api.post(f"analyses/{analysis['id']}/generate_inputs/")

    refused(
        api,
        session,
        analysis,
        "cancel_analysis_run/",
        {"status": ["Analysis execution is not running or queued"]},
    )
    put_in(analysis, "RUN_STARTED")
    refused(
        api,
        session,
        analysis,
        "cancel_generate_inputs/",
        {"status": ["Analysis input generation is not running or queued"]},
    )


def test_a_cancelled_analysis_runs_again_at_once(api: Api, session: Session) -> None:
    url = f"analyses/{api.analysis()['id']}/"
    api.post(f"{url}generate_inputs/")
    api.post(f"{url}cancel/")

    assert api.post(f"{url}generate_inputs/").status_code == 200
    assert [run.state for run in session.scalars(select(Run).order_by(Run.id))] == ["CANCELLING", "REQUESTED"]


def test_nothing_else_starts_in_the_ready_of_a_run_that_goes_on(
    api: Api, session: Session, input_file: Callable[..., None]
) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    api.post(f"analyses/{analysis['id']}/generate_and_run/")
    input_file(analysis, "READY")

    refused(api, session, analysis, "run/", {"status": [RUN_STATES]})
    refused(api, session, analysis, "generate_inputs/", {"status": [GENERATE_STATES]})
    refused(api, session, analysis, "generate_and_run/", {"status": [GENERATE_STATES]})
    refused(
        api,
        session,
        analysis,
        "cancel_generate_inputs/",
        {"status": ["Analysis input generation is not running or queued"]},
    )
    answer: Any = api.post(f"analyses/{analysis['id']}/cancel_analysis_run/").json
    assert answer["status"] == "RUN_CANCELLED"


def test_a_plain_ready_is_not_cancelled(api: Api, session: Session, input_file: Callable[..., None]) -> None:
    analysis = api.analysis()
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    input_file(analysis, "READY")

    refused(api, session, analysis, "cancel/", {"status": ["Analysis is not running or queued"]})
