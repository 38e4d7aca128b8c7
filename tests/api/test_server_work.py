"""Requesting what the internal worker executes: answers, refusals, statuses, and the runs that are written."""

import io
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.codec import from_plain
from shared.core.inputs import RunInputs
from shared.database.execution import Outbox, Removal, Run, SubTask
from shared.database.resources import Analysis, File, Portfolio
from shared.messages.catalogue import CancelRun, StartRun
from shared.messages.envelope import decode
from tests.api.api_client import ACCOUNTS, Api

pytestmark = pytest.mark.integration

NOT_VALIDATED = {
    "location_validated": False,
    "accounts_validated": None,
    "reinsurance_info_validated": None,
    "reinsurance_scope_validated": None,
}


@pytest.fixture
def homes(api: Api) -> Any:
    """A portfolio with a location file and an accounts file."""
    portfolio = api.portfolio()
    answer = api.upload(f"portfolios/{portfolio['id']}/accounts_file/", ACCOUNTS, "account.csv")
    assert answer.status_code == 200
    return portfolio


def only_run(session: Session) -> tuple[Run, RunInputs]:
    """The one run, and what it reads."""
    run = session.scalars(select(Run)).one()
    return run, from_plain(RunInputs, run.inputs)


def posted(session: Session) -> list[Any]:
    """The messages in the outbox."""
    return [decode(body) for body in session.scalars(select(Outbox.body).order_by(Outbox.id))]


def status(api: Api, portfolio: Any, name: str) -> str:
    """A status of a portfolio."""
    return str(api.get(f"portfolios/{portfolio['id']}/").json[name])  # type: ignore[index]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_validation_is_requested_and_seen_at_once(api: Api, session: Session, version: str) -> None:
    portfolio = api.portfolio()

    answer = api.post(f"/{version}/portfolios/{portfolio['id']}/validate/", "ignored")

    assert (answer.status_code, answer.json) == (200, NOT_VALIDATED)
    assert status(api, portfolio, "validation_status") == "STARTED"
    run, inputs = only_run(session)
    assert (run.kind, run.portfolio_id, run.analysis_id, run.priority) == ("validate", portfolio["id"], None, 10)
    assert set(inputs.files) == {"location_file"}
    assert StartRun(run.id) in posted(session)


def test_a_validation_reads_the_currency_and_its_rates(api: Api, session: Session, homes: Any) -> None:
    path = f"portfolios/{homes['id']}"
    api.post(f"{path}/reporting_currency/", {"reporting_currency": "USD"})
    api.upload(f"{path}/currency_conversion_json/", "from,to,roe\nEUR,USD,1.1\n", "rates.csv")

    api.post(f"{path}/validate/")

    _, inputs = only_run(session)
    assert inputs.reporting_currency == "USD"
    assert "currency_conversion_json" in inputs.files


def test_which_files_are_valid_is_told_file_by_file_and_a_new_upload_is_not(
    api: Api, session: Session, homes: Any
) -> None:
    session.execute(update(File).values(oed_validated=True))
    session.commit()
    path = f"portfolios/{homes['id']}"
    api.upload(f"{path}/accounts_file/", ACCOUNTS, "account.csv")

    told = api.get(f"{path}/validate/").json

    assert told == NOT_VALIDATED | {"location_validated": True, "accounts_validated": False}


def test_a_second_validation_cancels_the_first(api: Api, session: Session) -> None:
    portfolio = api.portfolio()
    for _ in range(2):
        assert api.post(f"portfolios/{portfolio['id']}/validate/").status_code == 200

    first, second = session.scalars(select(Run).order_by(Run.id)).all()
    assert (first.state, second.state) == ("CANCELLING", "REQUESTED")
    assert CancelRun(first.id) in posted(session)


@pytest.mark.parametrize("params", [{"params": {"loss_factor": [0.5]}}, {"params": None}, {}])
def test_an_exposure_run_takes_its_parameters_along(api: Api, session: Session, homes: Any, params: Any) -> None:
    answer = api.post(f"portfolios/{homes['id']}/exposure_run/", params)

    assert (answer.status_code, answer.json) == (200, {"message": "in queue"})
    assert status(api, homes, "exposure_status") == "STARTED"
    _, inputs = only_run(session)
    assert set(inputs.files) == {"location_file", "accounts_file", "exposure_params"}
    stored = session.scalars(select(File).filter_by(key=inputs.files["exposure_params"].key)).one()
    assert stored.released_at is not None, "it would stay for ever"


def test_an_exposure_run_without_accounts_is_refused_and_the_portfolio_says_so(api: Api, session: Session) -> None:
    portfolio = api.portfolio()

    answer = api.post(f"portfolios/{portfolio['id']}/exposure_run/", {"params": {}})

    assert answer.status_code == 400
    assert answer.json == ["Exposure run requires a location file and an accounts file!"]
    assert status(api, portfolio, "exposure_status") == "INSUFFICIENT_DATA"
    assert session.scalars(select(Run)).all() == []


@pytest.mark.parametrize("body", [{"params": [1]}, {"params": "x"}, [1]])
def test_parameters_that_are_no_object_are_refused(api: Api, homes: Any, body: Any) -> None:
    assert api.post(f"portfolios/{homes['id']}/exposure_run/", body).status_code == 400
    assert status(api, homes, "exposure_status") == "NONE"


def test_the_output_of_an_exposure_run_is_not_there_before_there_is_one(api: Api, homes: Any) -> None:
    assert api.get(f"portfolios/{homes['id']}/exposure_run/").status_code == 404


def transform(api: Api, portfolio: Any, **parts: Any) -> Any:
    """Ask for a transformation with these parts of a form, None to leave one out."""
    whole: dict[str, Any] = {
        "file_type": "location",
        "mapping_file": (io.BytesIO(b"file_format: {}"), "mapping.yaml", "application/octet-stream"),
        "transform_file": (io.BytesIO(b"a,b\n1,2\n"), "air.csv", "application/octet-stream"),
    }
    form = {name: part for name, part in (whole | parts).items() if part is not None}
    path = f"portfolios/{portfolio['id']}/exposure_transform/"
    return api.post(path, data=form, content_type="multipart/form-data")


def test_a_transformation_starts_its_own_status_and_that_of_the_validation(api: Api, session: Session) -> None:
    portfolio = api.portfolio(None)

    answer = transform(api, portfolio)

    assert (answer.status_code, answer.json) == (200, {"message": "in queue"})
    assert status(api, portfolio, "exposure_transform_status") == "STARTED"
    assert status(api, portfolio, "validation_status") == "STARTED"
    _, inputs = only_run(session)
    assert {name: ref.filename for name, ref in inputs.files.items()} == {
        "mapping_file": "mapping.yaml",
        "transform_file": "air.csv",
        "transform_params": "transform_params.json",
    }


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("file_type", None),
        ("file_type", "keys"),
        ("mapping_file", None),
        ("transform_file", (io.BytesIO(b""), "air.csv")),
        ("transform_file", (io.BytesIO(b"a"), "../air.csv")),
    ],
)
def test_an_incomplete_transformation_is_refused_and_changes_nothing(
    api: Api, session: Session, part: str, value: Any
) -> None:
    portfolio = api.portfolio(None)

    answer = transform(api, portfolio, **{part: value})

    assert answer.status_code == 400, answer.text
    assert list(answer.json) == [part]
    assert status(api, portfolio, "exposure_transform_status") == "NONE"
    assert session.scalars(select(File)).all() == []


@pytest.mark.parametrize("path", ["exposure_run", "exposure_transform"])
def test_v1_has_only_the_validation(api: Api, path: str) -> None:
    assert api.post(f"/v1/portfolios/{api.portfolio()['id']}/{path}/", {}).status_code == 404


def test_a_deleted_portfolio_takes_its_runs_and_their_objects_along(api: Api, session: Session) -> None:
    portfolio = api.portfolio()
    api.post(f"portfolios/{portfolio['id']}/validate/")
    run_uuid = session.scalars(select(Run.run_uuid)).one()
    session.rollback()

    assert api.delete(f"portfolios/{portfolio['id']}/").status_code == 204

    assert session.scalars(select(Run)).all() == []
    assert f"portfolio-{portfolio['id']}_validation-{run_uuid}/" in session.scalars(select(Removal.prefix)).all()


def test_the_sub_tasks_of_a_portfolio_are_among_the_task_statuses(api: Api, session: Session) -> None:
    portfolio = api.portfolio()
    api.post(f"portfolios/{portfolio['id']}/validate/")
    run, _ = only_run(session)
    plain = {"slug": "validate-exposure", "name": "Validate exposure", "queue": run.model_queue, "weight": "one"}
    sub_task = SubTask(
        run_id=run.id, stage=0, chunk=0, priority=10, requested_at=run.requested_at, state="QUEUED", **plain
    )
    session.add(sub_task)
    session.commit()

    listed: Any = api.get("analysis-task-statuses/").json

    assert [each["slug"] for each in listed] == ["validate-exposure"]
    assert api.get(f"analysis-task-statuses/{sub_task.id}/").json == listed[0]


# Combining


def with_losses(session: Session, analysis: Any, status: str = "RUN_COMPLETED") -> None:
    """Give the analysis what a run leaves."""
    row = session.get_one(Analysis, analysis["id"])
    for field in ("input_file", "output_file"):
        file = File(key=f"files/{field}-{row.id}", filename=f"{field}.tar.gz", content_type="application/gzip", size=1)
        session.add(file)
        session.flush()
        setattr(row, f"{field}_id", file.id)
    row.status = status
    session.commit()


@pytest.fixture
def pair(api: Api, session: Session) -> list[int]:
    """The ids of two analyses that have losses."""
    portfolio, model = api.portfolio(), api.model()
    analyses = [api.analysis(portfolio, model) for _ in range(2)]
    for analysis in analyses:
        with_losses(session, analysis)
    return [int(analysis["id"]) for analysis in analyses]


def test_a_combination_is_an_analysis_that_has_started(api: Api, session: Session, pair: list[int]) -> None:
    body = {"analysis_ids": list(reversed(pair)), "config": {"group_number_of_periods": 10}, "name": "both"}

    answer = api.post("analyses/combine/", body)

    assert answer.status_code == 200, answer.text
    told: Any = answer.json
    assert (told["name"], told["status"], told["model"], told["run_mode"]) == ("both", "RUN_STARTED", None, None)
    portfolio = session.get_one(Portfolio, told["portfolio"])
    assert portfolio.name == "both-dummy-portfolio"
    run, inputs = only_run(session)
    assert (run.kind, run.analysis_id) == ("combine", told["id"])
    assert inputs.files["output_file_1"].key == f"files/output_file-{pair[1]}", "the order is that of the request"
    assert inputs.files["input_file_2"].key == f"files/input_file-{pair[0]}"
    assert "combine_config" in inputs.files


def test_a_combination_has_a_name_where_none_is_given(api: Api, pair: list[int]) -> None:
    answer = api.post("analyses/combine/", {"analysis_ids": pair, "config": {"group_number_of_periods": 10}})
    assert answer.json is not None
    assert answer.json["name"] == "combine-analysis"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"config": {"a": 1}, "name": "x"}, {"analysis_ids": "Analysis ids not provided."}),
        ({"analysis_ids": [], "config": {"a": 1}}, {"analysis_ids": "Analysis ids not provided."}),
        ({"analysis_ids": [4711], "name": "x"}, {"config": "Combine config not provided."}),
        ({"analysis_ids": [4711], "config": {"a": 1}}, {"analysis_ids": "Not all selected analyses [4711] found."}),
    ],
)
def test_an_incomplete_combination_is_refused(api: Api, body: Any, refusal: Any) -> None:
    answer = api.post("analyses/combine/", body)
    assert (answer.status_code, answer.json) == (400, refusal)


def test_analyses_without_losses_cannot_be_combined(api: Api, session: Session, pair: list[int]) -> None:
    new = api.analysis(api.portfolio(), api.model("Other"))

    answer = api.post("analyses/combine/", {"analysis_ids": [*pair, new["id"]], "config": {"a": 1}})

    assert (answer.status_code, answer.json) == (
        400,
        {
            "status": ["Analyses status must be [RUN_COMPLETED]"],
            "input_file": [f"Analysis ID {new['id']} does not have an input file"],
            "output_file": [f"Analysis ID {new['id']} does not have an output_file"],
        },
    )
    assert session.scalars(select(Run)).all() == []


def test_a_combination_can_be_cancelled(api: Api, session: Session, pair: list[int]) -> None:
    told: Any = api.post("analyses/combine/", {"analysis_ids": pair, "config": {"a": 1}}).json

    answer = api.post(f"analyses/{told['id']}/cancel/")

    assert (answer.status_code, answer.json and answer.json["status"]) == (200, "RUN_CANCELLED")
    assert only_run(session)[0].state == "CANCELLING"
