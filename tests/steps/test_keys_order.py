import itertools

import pandas as pd
import pytest

from services.model_worker.steps.keys_order import in_one_order

LOCATIONS = ["1", "2", "3", "4", "5", "6", "7"]
PERILS = ["WSS", "WTC"]
COVERAGES = ["1", "3"]
COLUMNS = ["LocID", "PerilID", "CoverageTypeID"]


def looked_up(locations: list[str], *, by_location: bool) -> pd.DataFrame:
    """Keys of the given locations as a lookup writes them; location 2 has no key for surge."""
    rows = [
        (location, peril, coverage) for coverage, peril, location in itertools.product(COVERAGES, PERILS, locations)
    ]
    if by_location:
        rows.sort(key=lambda row: locations.index(row[0]))
    return pd.DataFrame([row for row in rows if row[:2] != ("2", "WSS")], columns=COLUMNS)


@pytest.mark.parametrize("by_location", [True, False])
@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_chunks_come_together_as_one_lookup_writes_them(size: int, by_location: bool) -> None:
    chunks = [LOCATIONS[start : start + size] for start in range(0, len(LOCATIONS), size)]

    merged = in_one_order([looked_up(chunk, by_location=by_location) for chunk in chunks])

    pd.testing.assert_frame_equal(merged, looked_up(LOCATIONS, by_location=by_location))


def test_chunks_of_one_location_come_together_as_the_builtin_lookup_writes_them() -> None:
    merged = in_one_order([looked_up([location], by_location=False) for location in LOCATIONS])

    pd.testing.assert_frame_equal(merged, looked_up(LOCATIONS, by_location=False))


def test_a_group_that_only_a_later_chunk_has_takes_its_place() -> None:
    first = pd.DataFrame([("1", "A", "1"), ("2", "A", "1"), ("1", "C", "1"), ("2", "C", "1")], columns=COLUMNS)
    second = pd.DataFrame([("3", "A", "1"), ("4", "A", "1"), ("3", "B", "1"), ("4", "C", "1")], columns=COLUMNS)

    merged = in_one_order([first, second])

    assert merged["PerilID"].tolist() == ["A", "A", "A", "A", "B", "C", "C", "C"]
    assert merged["LocID"].tolist() == ["1", "2", "3", "4", "3", "1", "2", "4"]


def test_tables_in_no_known_order_just_follow_each_other() -> None:
    mixed = pd.DataFrame([("1", "A", "1"), ("2", "B", "1"), ("2", "A", "1"), ("1", "B", "1")], columns=COLUMNS)

    assert in_one_order([mixed, mixed])["PerilID"].tolist() == ["A", "B", "A", "B"] * 2


def test_keys_of_another_kind_just_follow_each_other() -> None:
    tables = [pd.DataFrame({"LocID": [number], "Own": ["x"]}) for number in ("1", "2")]

    assert in_one_order(tables)["LocID"].tolist() == ["1", "2"]
