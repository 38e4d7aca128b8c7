"""The page of the benchmarks says what their results say."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import page
from benchmarks.charts import Bars, number


def test_the_page_and_its_charts_are_what_the_results_say() -> None:
    assert page.outdated() == [], "run python -m benchmarks.page"


def test_every_file_of_results_has_its_place_on_the_page() -> None:
    template = (page.FOLDER / "page_template.md").read_text(encoding="utf-8")

    for path in (page.FOLDER / "results").glob("*.json"):
        assert f"<!-- results of {path.stem} -->" in template


def test_results_that_change_change_the_page_and_its_chart(tmp_path: Path) -> None:
    # Given
    (tmp_path / "results").mkdir()
    (tmp_path / "page_template.md").write_text("# Page\n\n<!-- results of storage -->\n", encoding="utf-8")
    found = {"store": "Directory", "files_mib": 2, "archive_mib": 1, "load_before": 1.0, "machine": "2 cores"}
    measure = {"operation": "put", "mib": 80, "seconds": 2.0, "growth_mib": 3.0}
    results = tmp_path / "results" / "storage.json"
    # When
    results.write_text(json.dumps(found | {"measures": [measure]}), encoding="utf-8")
    before = page.written(tmp_path)
    results.write_text(json.dumps(found | {"measures": [measure | {"seconds": 4.0}]}), encoding="utf-8")
    after = page.written(tmp_path)
    # Then
    assert "| put | 2.00 | 40.0 | 3.00 | ≤ 64 |" in before["benchmarks.md"]
    assert "| put | 4.00 | 20.0 | 3.00 | ≤ 64 |" in after["benchmarks.md"]
    assert before["figures/storage-rate.svg"] != after["figures/storage-rate.svg"]


def test_a_benchmark_without_results_is_told_as_not_measured(tmp_path: Path) -> None:
    (tmp_path / "page_template.md").write_text("<!-- results of fleets -->\n", encoding="utf-8")

    assert page.written(tmp_path)["benchmarks.md"].startswith("Not measured yet: `python -m benchmarks.fleets")


def test_bars_are_as_long_as_their_values() -> None:
    # Given
    chart = Bars("<title>", "s", ["one", "two"], {"ours": [1.0, 4.0], "theirs": [2.0, None]})
    # When
    rectangles = ET.fromstring(chart.svg()).findall("{http://www.w3.org/2000/svg}rect")  # noqa: S314 - ours
    # Then: behind the background and the two of the legend
    widths = [int(each.attrib["width"]) for each in rectangles[3:]]
    assert widths == [widths[2] // 4, widths[2] // 2, widths[2]]


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (0.0, "0.00"), (12.345, "12.3"), (12345.6, "12,346")])
def test_numbers_are_shown_with_three_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown
