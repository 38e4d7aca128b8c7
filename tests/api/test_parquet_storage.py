"""Exposure that comes as csv and is kept as parquet: oasis_api.md section 1.6."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api import parquet_storage
from shared.database.resources import File
from tests.api.api_client import ACCOUNTS, LOCATIONS, Api

POSTCODES = (
    "PortNumber,AccNumber,LocNumber,CountryCode,PostalCode,LocPerilsCovered,BuildingTIV\n1,A,1,GB,01234,WTC,100.5\n"
)


@pytest.fixture
def parquet_api(api: Api, api_with: Callable[..., Api]) -> Api:
    return api_with(parquet_storage=True).login("admin", "password")


@pytest.fixture
def url(parquet_api: Api) -> str:
    return f"portfolios/{parquet_api.portfolio(None)['id']}/"


def test_csv_is_kept_as_parquet_and_can_be_had_as_csv(parquet_api: Api, url: str, session: Session) -> None:
    answer = parquet_api.upload(f"{url}location_file/", POSTCODES)

    assert (answer.status_code, answer.json["filename"]) == (200, "location.csv.parquet")
    assert answer.json["file"].endswith(".parquet")
    kept = parquet_api.get(f"{url}location_file/")
    assert kept.headers["Content-Type"] == "application/octet-stream"
    table = pq.read_table(io.BytesIO(kept.data)).to_pydict()
    assert (table["PostalCode"], table["BuildingTIV"]) == (["01234"], [100.5])
    assert session.scalars(select(File.rows)).one() == 1
    (row,) = csv.DictReader(parquet_api.get(f"{url}location_file/?file_format=csv").text.splitlines())
    assert (row["PostalCode"], row["LocNumber"]) == ("01234", "1")


def test_it_is_so_for_every_exposure_file_and_for_no_other_type(parquet_api: Api, url: str) -> None:
    assert parquet_api.upload(f"{url}accounts_file/", ACCOUNTS, "acc.csv").json["filename"] == "acc.csv.parquet"
    rates = "from,to,rate\nGBP,EUR,1.2\n"
    answer = parquet_api.upload(f"{url}currency_conversion_json/", rates, "rates.csv")
    assert answer.json["filename"] == "currency_conversion.json"
    parquet = parquet_api.get(f"{url}accounts_file/").data
    answer = parquet_api.upload(f"{url}location_file/", parquet, "a.parquet", "application/octet-stream")
    assert answer.json["filename"] == "a.parquet"


def test_what_models_could_not_read_is_refused_with_the_reason(
    parquet_api: Api, url: str, session: Session, tmp_path: Path
) -> None:
    answer = parquet_api.upload(f"{url}location_file/", LOCATIONS.replace("300", "much"))

    assert answer.status_code == 400
    assert answer.json["error"] == ["Failed to validate exposure data"]
    assert "much" in answer.json["detail"][0]
    assert len(answer.json["exception"]) == 1
    assert session.scalars(select(File)).all() == []
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_name_that_grows_too_long_is_refused(parquet_api: Api, url: str) -> None:
    answer = parquet_api.upload(f"{url}location_file/", LOCATIONS, "x" * 250 + ".csv")

    assert (answer.status_code, list(answer.json)) == (400, ["file"])


def test_a_conversion_that_dies_is_no_fault_of_the_file(
    parquet_api: Api, url: str, session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -KILL $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(parquet_storage.sys, "executable", str(dying))

    assert parquet_api.upload(f"{url}location_file/", LOCATIONS).status_code == 503
    assert session.scalars(select(File)).all() == []
