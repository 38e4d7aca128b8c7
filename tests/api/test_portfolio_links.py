"""portfolios/{id}/storage_links/ and errors_file/: oasis_api.md section 1.3."""

from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.database.resources import File, Portfolio
from tests.api.api_client import LOCATIONS, Api
from tests.api.executed import record_file
from tests.api.members import member

FIELDS = "location_file, accounts_file, reinsurance_info_file, reinsurance_scope_file, currency_conversion_json"


def _stored(api: Api, portfolio: Any) -> str:
    return str((api.get(f"portfolios/{portfolio['id']}/storage_links/").json or {})["location_file"])


def test_a_stored_file_is_copied_into_the_portfolio(api: Api) -> None:
    first, second = api.portfolio(), api.portfolio(None)
    url = f"portfolios/{second['id']}/"

    posted: Any = api.post(f"{url}storage_links/", {"location_file": _stored(api, first)}).json

    assert list(posted) == FIELDS.split(", ")
    assert posted["location_file"] not in (None, _stored(api, first))
    assert posted["accounts_file"] is None
    api.delete(f"portfolios/{first['id']}/")
    assert api.get(f"{url}location_file/").text == LOCATIONS
    assert (api.get(url).json or {})["location_file"]["name"] == "location.csv"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_wrong_links_are_refused_all_at_once(api: Api, version: str) -> None:
    portfolio = api.portfolio()
    url = f"/{version}/portfolios/{portfolio['id']}/storage_links/"
    good = _stored(api, portfolio)

    refused = api.post(url, {"accounts_file": good, "location_file": "x.csv", "reinsurance_info_file": 7})
    blank = api.post(url, {"location_file": "  "})

    assert (refused.status_code, refused.json) == (
        400,
        {
            "location_file": ["File 'x.csv' not found in default storage"],
            "reinsurance_info_file": ["Value is not type string, found <class 'int'>"],
        },
    )
    word = "emtpry" if version == "v1" else "empty"
    assert blank.json == {"location_file": [f"Value is {word} or whitespace string."]}
    for body in ({}, {"other": good}, [good]):
        text = f"At least one file field reference required from [{FIELDS}]"
        assert api.post(url, body).json == {"non_field_errors": [text]}
    assert api.get(url).json == dict.fromkeys(FIELDS.split(", ")) | {"location_file": good}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "x" * 10_000, "%", "_", "files/%"])
def test_odd_names_are_not_found(api: Api, name: str) -> None:
    portfolio = api.portfolio()

    answer = api.post(f"portfolios/{portfolio['id']}/storage_links/", {"accounts_file": name})

    assert answer.status_code == 400
    assert api.get(f"portfolios/{portfolio['id']}/accounts_file/").status_code == 404


def test_a_file_that_is_no_ones_any_more_is_not_found(api: Api) -> None:
    portfolio = api.portfolio()
    name = _stored(api, portfolio)
    api.delete(f"portfolios/{portfolio['id']}/location_file/")

    answer = api.post(f"portfolios/{portfolio['id']}/storage_links/", {"location_file": name})

    assert answer.json == {"location_file": [f"File '{name}' not found in default storage"]}


def test_files_of_another_group_are_refused(api: Api, session: Session) -> None:
    ours, theirs = member(api, session, "ours", "reds"), member(api, session, "theirs", "blues")
    name = _stored(ours, ours.portfolio())
    mine, other = theirs.portfolio(None), ours.portfolio(None)

    refused = theirs.post(f"portfolios/{mine['id']}/storage_links/", {"location_file": name})

    assert (refused.status_code, refused.json) == (
        400,
        {"location_file": [f"File '{name}' belongs to a different group"]},
    )
    assert ours.post(f"portfolios/{other['id']}/storage_links/", {"location_file": name}).status_code == 200


def test_the_errors_file_is_sent_where_there_is_one(api: Api, session: Session, dependencies: Dependencies) -> None:
    portfolio = api.portfolio()
    url = f"portfolios/{portfolio['id']}/errors_file/"
    assert api.get(url).status_code == 404
    assert api.get(f"/v1/{url}").status_code == 404

    name = f"portfolio_{portfolio['id']}_errors.txt"
    file = record_file(session, dependencies.store, {"id": 0}, "output_file", b"a lost column", name, "text/csv")
    session.execute(update(Portfolio).values(run_errors_file_id=file.id))
    session.commit()

    answer = api.get(url)
    assert (answer.text, answer.headers["Content-Type"]) == ("a lost column", "text/csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    api.delete(f"portfolios/{portfolio['id']}/")
    session.expire_all()
    assert session.get_one(File, file.id).released_at is not None
