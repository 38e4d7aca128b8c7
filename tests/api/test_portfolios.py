"""portfolios/: oasis_api.md section 1.3."""

import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.execution import Outbox, Run
from shared.database.resources import Analysis, File, Portfolio
from tests.api.api_client import ANALYSIS_SETTINGS, LOCATIONS, Api

LISTED = [
    "id",
    "name",
    "created",
    "modified",
    "groups",
    "location_file",
    "accounts_file",
    "reinsurance_info_file",
    "reinsurance_scope_file",
    "storage_links",
    "currency_conversion_json",
]
ALONE = {"exposure_status", "validation_status", "exposure_transform_status", "reporting_currency"}
EXPOSURE = ["location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file"]


def test_a_portfolio_has_exactly_these_keys(api: Api) -> None:
    portfolio = api.portfolio()

    body = api.get(f"portfolios/{portfolio['id']}/").json
    listed = api.get("portfolios/").json

    assert body is not None
    assert set(body) == set(LISTED) | ALONE == set(portfolio)
    assert (body["validation_status"], body["reporting_currency"], body["groups"]) == ("NONE", "", [])
    assert listed is not None
    assert list(listed[0]) == LISTED
    stored = body["location_file"]["stored"]
    assert body["location_file"] == {
        "uri": f"http://localhost/v2/portfolios/{portfolio['id']}/location_file/",
        "name": "location.csv",
        "stored": stored,
        "converted_uri": None,
        "converted_stored": None,
        "conversion_state": "NONE",
        "conversion_log_fie": None,
    }
    assert stored.endswith(".csv")
    assert len(stored) == 36


def test_v1_has_fewer_keys(api: Api) -> None:
    portfolio = api.portfolio()

    listed = api.get("/v1/portfolios/").json
    body = api.get(f"/v1/portfolios/{portfolio['id']}/").json

    assert listed is not None
    assert set(listed[0]) == set(LISTED) - {"groups", "currency_conversion_json"}
    assert set(listed[0]["location_file"]) == {"uri", "name", "stored"}
    assert body is not None
    assert set(body) == (set(LISTED) | ALONE) - {"groups"}


def test_a_portfolio_is_renamed_and_found_by_its_name(api: Api) -> None:
    url = f"portfolios/{api.create('portfolios/', {'name': 'Homes'})['id']}/"

    for answer in (api.patch(url, {"name": "Flats"}), api.put(url, {"name": "Flats"})):
        assert answer.status_code == 200
        assert answer.json is not None
        assert answer.json["name"] == "Flats"
    assert api.put(url, {}).json == {"name": ["This field is required."]}
    assert len(api.get("portfolios/?name=flats").json or []) == 1
    assert api.get("portfolios/?name=flat").json == []
    assert len(api.get("portfolios/?name__contains=LAT").json or []) == 1


@pytest.mark.parametrize("field", EXPOSURE)
def test_exposure_files_are_stored_sent_and_taken_away(api: Api, field: str) -> None:
    url = f"portfolios/{api.create('portfolios/', {'name': 'a'})['id']}/"
    assert api.get(f"{url}{field}/").status_code == 404

    posted = api.upload(f"{url}{field}/", LOCATIONS, "homes.csv").json
    sent = api.get(f"{url}{field}/")

    assert posted is not None
    assert list(posted) == [
        "created",
        "file",
        "filename",
        "groups",
        "conversion_state",
        "converted_file",
        "mapping_file",
    ]
    assert posted["filename"] == "homes.csv"
    assert sent.headers["Content-Type"] == "text/csv"
    assert sent.headers["Content-Disposition"] == 'attachment; filename="homes.csv"'
    assert sent.text == LOCATIONS
    assert (api.get(f"{url}storage_links/").json or {})[field] == posted["file"]

    deleted = api.delete(f"{url}{field}/")
    assert (deleted.status_code, deleted.data) == (200, b"")
    assert api.get(f"{url}{field}/").status_code == api.delete(f"{url}{field}/").status_code == 404


def test_a_new_upload_releases_the_old_file_and_keeps_its_object(
    api: Api, session: Session, dependencies: object
) -> None:
    portfolio = api.portfolio()
    api.upload(f"portfolios/{portfolio['id']}/location_file/", "A\n1\n", "new.csv")

    old, new = session.scalars(select(File).order_by(File.id))
    assert old.released_at is not None
    assert new.released_at is None
    assert (old.rows, new.rows) == (3, 1)
    assert old.key.startswith("files/")
    assert dependencies.store.exists(old.key)  # type: ignore[attr-defined]


def test_rates_of_exchange_may_be_json_or_csv(api: Api) -> None:
    url = f"portfolios/{api.create('portfolios/', {'name': 'a'})['id']}/currency_conversion_json/"

    assert api.upload(url, '{"a": 1}', "rates.json", "application/json").status_code == 200
    assert api.get(url).data == b'{"a": 1}'
    posted = api.upload(url, "from,to,roe\nGBP,USD,1.25\n", "rates.csv").json
    assert posted is not None
    assert posted["filename"] == "currency_conversion.json"
    assert json.loads(api.get(url).data) == {
        "currency_conversion_type": "DictBasedCurrencyRates",
        "source_type": "list",
        "currency_rates": [["GBP", "USD", 1.25]],
    }
    assert api.upload(url, "from,to\nGBP,USD\n", "rates.csv").status_code == 400
    assert api.upload(url, "x", "rates.txt", "text/plain").json == {
        "file": ["File should be one of [application/json]"]
    }
    assert api.delete(url).status_code == 200
    assert api.get(url).status_code == 404


def test_the_reporting_currency_is_kept(api: Api) -> None:
    url = f"portfolios/{api.create('portfolios/', {'name': 'a'})['id']}/reporting_currency/"

    assert api.get(url).status_code == api.delete(url).status_code == 404
    assert api.post(url, {}).json == {"reporting_currency": ["This field is required."]}
    assert api.post(url, {"reporting_currency": "USD"}).json == {"reporting_currency": "USD"}
    assert api.get(url).json == {"reporting_currency": "USD"}
    assert api.delete(url).json == {"reporting_currency": ""}


def test_an_analysis_of_a_portfolio_is_queued_at_once(api: Api) -> None:
    portfolio, model = api.portfolio(), api.model()

    answer = api.post(f"portfolios/{portfolio['id']}/create_analysis/", {"name": "a", "model": model["id"]})

    assert answer.status_code == 201
    assert answer.json is not None
    assert (answer.json["status"], answer.json["run_mode"]) == ("INPUTS_GENERATION_QUEUED", "V2")


def test_an_analysis_of_a_portfolio_that_cannot_run_is_not_made(api: Api) -> None:
    model = api.model()
    empty, broken = api.portfolio(None), api.portfolio(b"A,B\n" * 20_000 + b"\x00\x01", "location.csv")
    no_file = {"portfolio": ['either "location_file" or "accounts_file" must not be null']}

    answers = [
        api.post(f"portfolios/{portfolio['id']}/create_analysis/", {"name": "a", "model": pk})
        for portfolio, pk in ((empty, model["id"]), (broken, None), (broken, model["id"]), (broken, 99))
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].json == no_file
    assert answers[1].json == {"model": "Model not assigned to analysis"}
    assert "Failed to read location file size for chunking: " in answers[2].text
    assert answers[3].json == {"model": ['Invalid pk "99" - object does not exist.']}
    assert api.get("analyses/").json == []


def test_deleting_a_portfolio_takes_its_analyses_and_cancels_what_runs(api: Api, session: Session) -> None:
    portfolio = api.portfolio()
    analysis = api.analysis(portfolio, settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 200

    assert api.delete(f"portfolios/{portfolio['id']}/").status_code == 204

    for table in (Portfolio, Analysis, Run):
        assert session.scalars(select(table)).all() == []
    assert all(file.released_at for file in session.scalars(select(File)))
    assert any(b"CancelRun" in row.body for row in session.scalars(select(Outbox)))
    assert api.delete(f"portfolios/{portfolio['id']}/").status_code == 404
