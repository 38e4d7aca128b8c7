"""The smallest run that calls every program."""

import csv
import json
from collections import Counter
from pathlib import Path

import ods_tools
import pytest

from examples.coastwind.portfolio import BOOKS
from examples.coastwind.sample import LOCATIONS_PER_ACCOUNT, REPORTS, write_sample

SCHEMA = Path(ods_tools.__file__).parent / "data" / "analysis_settings_schema.json"
NO_REPORTS = {"parquet_format", "return_period_file", "alct_confidence"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory)
    return directory


def test_it_has_a_few_locations_of_each_account(sample: Path) -> None:
    with (sample / "exposure" / "location.csv").open(newline="") as file:
        accounts = Counter(row["AccNumber"] for row in csv.DictReader(file))

    assert accounts == {book.account: LOCATIONS_PER_ACCOUNT for book in BOOKS}


def test_it_asks_for_every_report_that_there_is_at_every_perspective(sample: Path) -> None:
    known = json.loads(SCHEMA.read_text())["definitions"]["output_summaries"]["items"]["properties"]["ord_output"]
    settings = json.loads((sample / "analysis_settings.json").read_text())

    for perspective in ("gul", "il", "ri"):
        (summary,) = settings[f"{perspective}_summaries"]
        assert settings[f"{perspective}_output"] is True
        assert set(REPORTS) | {"return_period_file"} == {name for name, asked in summary["ord_output"].items() if asked}
    assert set(REPORTS) == known["properties"].keys() - NO_REPORTS
