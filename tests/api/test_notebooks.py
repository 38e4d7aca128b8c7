"""Notebooks on the published `APIClient`: each of its methods does what it is for. Source: oasis_api.md section 6."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oasislmf.platform_api.client import APIClient, FileEndpoint, JsonEndpoint
from requests import HTTPError
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.core.plan import Phase
from shared.database.resources import Portfolio
from tests.api.api_client import ACCOUNTS, ANALYSIS_SETTINGS, LOCATIONS, MODEL_SETTINGS, Api
from tests.api.ended_run import EndedRun, ended_run, record
from tests.api.executed import record_file, tar_gz
from tests.api.serving_here import serving_here

# The client leaves what it uploads open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

READ, DELETED, KEPT = "get", "get delete", "get post delete"
OFFERED = {
    **dict.fromkeys(("models.versions", "models.storage_links"), READ),
    **dict.fromkeys(("models.chunking_configuration", "models.scaling_configuration"), "get post"),
    "models.settings": KEPT,
    "models.resource_file": "",
    **dict.fromkeys(
        [f"portfolios.{name}" for name in ("location_file", "accounts_file", "reinsurance_info_file")], KEPT
    ),
    **dict.fromkeys(("portfolios.reinsurance_scope_file", "portfolios.currency_conversion_json"), KEPT),
    "portfolios.reporting_currency": KEPT,
    **dict.fromkeys(("portfolios.storage_links", "portfolios.validate", "portfolios.exposure_run"), "get post"),
    "portfolios.errors_file": READ,
    "data_files.content": KEPT,
    **dict.fromkeys(("analyses.settings", "analyses.settings_file"), KEPT),
    **dict.fromkeys([f"analyses.{name}" for name in ("input_file", "summary_levels_file", "run_progress")], READ),
    **dict.fromkeys([f"analyses.lookup_{name}_file" for name in ("errors", "success", "validation")], READ),
    **dict.fromkeys([f"analyses.{name}_file_tar_list" for name in ("input", "output")], READ),
    **dict.fromkeys([f"analyses.{name}_file_tar_extract" for name in ("input", "output")], READ),
    **dict.fromkeys([f"analyses.{name}_file" for name in ("output", "run_traceback", "run_log")], DELETED),
    "analyses.input_generation_traceback_file": DELETED,
    "analyses.chunking_configuration": "get post",
    **dict.fromkeys([f"task_status.{name}_log" for name in ("output", "error", "retry")], READ),
}
"""What there is of each endpoint of the client; all else is 405, or 404 where there is nothing."""

JSON: dict[str, Any] = {
    "models.settings": MODEL_SETTINGS,
    "portfolios.reporting_currency": {"reporting_currency": "GBP"},
    "portfolios.currency_conversion_json": {},
    "analyses.settings": ANALYSIS_SETTINGS,
    "analyses.settings_file": ANALYSIS_SETTINGS,
}


@pytest.fixture
def run(api: Api, session: Session, dependencies: Dependencies) -> EndedRun:
    """Ids 1: an analysis with every file, its model, its portfolio and a data file."""
    run = ended_run(api, session, dependencies.store)
    run.attempt("collect-keys", "failed", "a log\n", message="no memory", cause="model error")
    run.stop("FAILED", Phase.LOSSES)
    run.move("collect-keys", "ERROR", retry_count=1)
    run.analysis(inputs_traceback_run_id=run.run.id)
    for field in ("lookup_errors", "lookup_success", "lookup_validation", "summary_levels", "run_log"):
        record(run, f"{field}_file", b"a,b\n1,2\n")
    for field in ("input_file", "output_file"):
        archive = tar_gz(output__a_dot_csv=b"a,b\n1,2\n")
        record_file(session, dependencies.store, {"id": 1}, field, archive, f"{field}.tar.gz", "application/gzip")
    for name in ("accounts_file", "reinsurance_info_file", "reinsurance_scope_file"):
        api.upload(f"portfolios/1/{name}/", ACCOUNTS)
    api.upload("portfolios/1/currency_conversion_json/", "{}", "rates.json", "application/json")
    api.post("portfolios/1/reporting_currency/", {"reporting_currency": "EUR"})
    file = record_file(session, dependencies.store, {"id": 1}, "run_log_file", b"a,b\n1,2\n", "a.csv", "text/csv")
    portfolio = session.get_one(Portfolio, 1)
    portfolio.run_errors_file_id = portfolio.exposure_run_file_id = file.id
    session.commit()
    api.post("models/1/settings/", MODEL_SETTINGS)
    api.create("data_files/", {"file_description": "rates"})
    api.upload("data_files/1/content/", "a,b\n1,2\n", "rates.csv")
    return run


@pytest.fixture
def client(api: Api) -> Iterator[APIClient]:
    """Below `/api`, as most installations have it; it takes no redirect that leads out of there."""
    with serving_here(api.app) as url:
        client = APIClient(f"{url}/api", "v2", auth_type="simple", username="admin", password="password")
        client.api.request_interval = 0
        yield client
        client.api.close()


def endpoints(client: APIClient) -> dict[str, FileEndpoint | JsonEndpoint]:
    """Every endpoint of a file or of JSON, by its name below the client."""
    found = {}
    for group, resource in vars(client).items():
        for name, endpoint in vars(resource).items() if hasattr(resource, "__dict__") else ():
            if isinstance(endpoint, FileEndpoint | JsonEndpoint):
                found[f"{group}.{name}"] = endpoint
    return found


def status_of(ask: Callable[..., Any], *arguments: Any) -> int:
    try:
        return int(ask(*arguments).status_code)
    except HTTPError as error:
        return int(error.response.status_code)


def sent_to(client: APIClient, name: str) -> tuple[Any, ...]:
    """What an endpoint is sent to keep."""
    if name == "portfolios.storage_links":
        return (dict.fromkeys(("location_file", "accounts_file"), client.data_files.get(1).json()["stored"]),)
    if isinstance(endpoints(client)[name], JsonEndpoint) or name == "portfolios.exposure_run":
        return (JSON.get(name, {}),)
    return (json.dumps(JSON[name]), "application/json") if name in JSON else (LOCATIONS, "text/csv")


def test_every_endpoint_takes_gives_and_deletes_what_it_is_for(client: APIClient, run: EndedRun) -> None:
    assert set(endpoints(client)) == set(OFFERED)

    def expected(name: str, method: str) -> int:
        return 200 if method in OFFERED[name].split() else 405 if OFFERED[name] else 404

    def pk(name: str) -> int:
        return run.sub_task("collect-keys").id if name.startswith("task_status") else 1

    for name, endpoint in endpoints(client).items():
        member = ("output/a.csv",) if name.endswith("extract") else ()
        assert status_of(endpoint.post, pk(name), *sent_to(client, name)) == expected(name, "post"), name
        assert status_of(endpoint.get, pk(name), *member) == expected(name, "get"), name
    for name, endpoint in endpoints(client).items():
        if OFFERED[name] == KEPT:
            endpoint.post(pk(name), *sent_to(client, name))
        assert status_of(endpoint.delete, pk(name)) == expected(name, "delete"), name


def test_files_come_as_files_and_as_tables(client: APIClient, run: EndedRun, tmp_path: Path) -> None:
    table, target = {"a": [1], "b": [2]}, str(tmp_path / "new" / "file")

    assert client.data_files.content.get_dataframe(1).to_dict("list") == table
    (only,) = client.analyses.output_file.get_dataframe(1).values()
    assert only.to_dict("list") == table
    client.analyses.lookup_errors_file.download(1, target)
    assert Path(target).read_text() == "a,b\n1,2\n"
    client.analyses.output_file_tar_extract.download(1, "output/a.csv", target)
    assert Path(target).read_text() == "a,b\n1,2\n"
    client.models.settings.download(1, target)
    assert json.loads(Path(target).read_text()) == MODEL_SETTINGS
    # What a notebook has in memory, and what it converts
    frame = client.portfolios.location_file.get_dataframe(1)
    client.upload_portfolio_file(1, "location_file", {"name": "homes.parquet", "bytes": frame.to_parquet()})
    assert client.portfolios.location_file.get_dataframe(1).equals(frame)
    client.portfolios.location_file.post_dataframe(1, frame)
    assert client.portfolios.location_file.get_dataframe(1).equals(frame)
    assert client.analyses.generate(1).json()["status"] == "INPUTS_GENERATION_QUEUED"
    client.download_output(1, str(tmp_path), filename="out.tar.gz", clean_up=True)
    assert (tmp_path / "out.tar.gz").stat().st_size
    assert status_of(client.analyses.get, 1) == 404


def test_resources_are_made_found_changed_copied_and_deleted(client: APIClient, run: EndedRun) -> None:
    model = client.models.create("A", "B", "1").json()["id"]
    assert client.models.update(model, "A", "C", "1", [1]).json()["data_files"] == [1]
    assert [each["id"] for each in client.models.search({"supplier_id": "a", "model_id": "c"}).json()] == [model]
    assert [each["id"] for each in client.models.data_files(model).json()] == [1]
    portfolio = client.portfolios.create("homes").json()["id"]
    assert client.portfolios.update(portfolio, "flats").json()["name"] == "flats"
    data_file = client.data_files.create("rates", "csv").json()["id"]
    assert client.data_files.update(data_file, "others").json()["file_description"] == "others"
    analysis = client.analyses.create("mine", 1, 1, [1]).json()["id"]
    assert client.analyses.update(analysis, "yours", 1, 1).json()["complex_model_data_files"] == []
    copied = client.analyses.copy(analysis).json()
    assert (copied["name"], copied["status"]) == ("yours - Copy", "NEW")
    assert len(client.analyses.search({"name__contains": "yours", "created__lt": "2999-01-01"}).json()) == 2
    assert client.portfolios.create_analyses(1, "third", 1).status_code == 201
    assert client.analyses.storage_links(1).json()["output_file"]
    assert client.analyses.data_files(1).json() == []
    assert client.analyses.sub_task_list(1).json()
    assert client.task_status.get().json()
    for resource, pk in ((client.analyses, analysis), (client.models, model), (client.portfolios, portfolio)):
        assert resource.delete(pk).status_code == 204
        assert status_of(resource.get, pk) == 404


def test_setting_templates_are_read_and_written_without_a_slash(client: APIClient, run: EndedRun) -> None:
    templates = client.models.setting_templates

    pk = templates.post(1, {"name": "a"}).json()["id"]
    assert templates.put(1, pk, {"name": "b"}).json()["name"] == "b"
    assert client.api.patch(templates._build_url(1, pk), json={"name": "c"}).json()["name"] == "c"
    assert [each["name"] for each in templates.get(1).json()] == [templates.get(1, pk).json()["name"]] == ["c"]
    assert templates.content.post(1, ANALYSIS_SETTINGS, pk).json()["filename"] == "analysis_settings.json"
    assert templates.content.get(1, pk).json()["gul_output"] is True
    assert templates.content.delete(1, pk).status_code == 200
    assert templates.delete(1, pk).status_code == 204


def test_work_is_asked_for_followed_and_cancelled(client: APIClient, run: EndedRun, tmp_path: Path) -> None:
    analyses = client.analyses
    client.upload_settings(1, ANALYSIS_SETTINGS)
    assert analyses.generate_and_run(1).json()["status"] == "INPUTS_GENERATION_QUEUED"
    assert analyses.cancel(1).json()["status"] == "INPUTS_GENERATION_CANCELLED"
    analyses.generate(1)
    client.cancel_generate(1)
    run.analysis(status="READY")
    archive = tar_gz(a=b"")
    for field in ("input_file", "output_file"):
        record_file(run.session, run.store, {"id": 1}, field, archive, "a.tar.gz", "application/gzip")
    assert analyses.run(1).json()["status"] == "RUN_QUEUED"
    client.cancel_analysis(1)
    assert client.reconnect(1) is False
    run.analysis(status="RUN_COMPLETED")
    assert client.reconnect(1, str(tmp_path)) is True
    assert (tmp_path / "analysis_1_output.tar.gz").read_bytes() == archive
    assert analyses.combine([1], {"group_number_of_periods": 10}).json()["name"] == "combine-analysis"
    (tmp_path / "map.yml").write_text("a: b")
    asked = client.portfolios.exposure_transform.post(
        1, "location", str(tmp_path / "map.yml"), str(tmp_path / "map.yml")
    )
    assert asked.json() == {"message": "in queue"}


def test_the_server_is_asked_what_it_is_and_does(client: APIClient) -> None:
    assert client.healthcheck().json() == client.healthcheck_connections().json() == {"status": "OK"}
    assert client.server_info().json()["config"]["API_AUTH_TYPE"] == "simple_jwt"
    assert set(client.oed_peril_codes().json()) == {"peril_codes", "peril_groups"}
    assert client.queue().json() == client.queue_status().json()["content"] == []
