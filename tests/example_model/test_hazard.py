"""The storms of the example model, and the files that hold them."""

from pathlib import Path

import numpy as np
import pytest

from examples.coastwind import formats
from examples.coastwind.footprint import GUST_MAX, GUST_MIN, INTENSITY_BINS
from examples.coastwind.grid import build_grid
from examples.coastwind.hazard import Hazard, return_level
from examples.coastwind.settings import MODEL
from examples.coastwind.storms import YEARS

README = Path(__file__).parents[2] / "examples" / "coastwind" / "README.md"
PLACES = {  # name: latitude, longitude; all outside towns, but for the last two
    "Senna Head, open coast": (51.95, -3.2),
    "East plain, open inland": (52.1, -0.9),
    "Marrowby, coastal town": (52.62, -2.9),
    "Aldermoor, inland town": (52.1, -1.9),
}


@pytest.fixture(scope="module")
def data(model_dir: Path) -> Path:
    return model_dir / "model_data" / MODEL


def footprint_rows(data: Path) -> np.ndarray:
    return np.fromfile(data / "footprint.bin", formats.FOOTPRINT_ROW, offset=formats.FOOTPRINT_HEADER.itemsize)


def test_the_footprint_index_covers_every_event_and_every_byte(data: Path) -> None:
    index = np.fromfile(data / "footprint.idx", formats.FOOTPRINT_INDEX)
    events = np.fromfile(data / "events_p.bin", formats.EVENT)

    assert index["event_id"].tolist() == events["event_id"].tolist() == list(range(1, events.size + 1))
    assert (index["size"] > 0).all()
    assert index["offset"][0] == formats.FOOTPRINT_HEADER.itemsize
    assert (index["offset"][1:] == (index["offset"] + index["size"])[:-1]).all()
    assert index["offset"][-1] + index["size"][-1] == (data / "footprint.bin").stat().st_size


def test_footprint_rows_are_land_cells_once_per_event_with_a_gust_bin(data: Path, hazard: Hazard) -> None:
    rows = footprint_rows(data)
    index = np.fromfile(data / "footprint.idx", formats.FOOTPRINT_INDEX)
    event = np.repeat(index["event_id"], index["size"] // formats.FOOTPRINT_ROW.itemsize)

    assert np.isin(rows["areaperil_id"], hazard.grid.areaperil_id).all()
    assert np.unique(np.column_stack([event, rows["areaperil_id"]]), axis=0).shape[0] == rows.size
    assert rows["intensity_bin_id"].min() == 1
    assert rows["intensity_bin_id"].max() <= INTENSITY_BINS
    assert (rows["probability"] == 1).all()


def test_the_footprint_holds_the_gusts(data: Path, hazard: Hazard) -> None:
    rows = footprint_rows(data)
    expected = hazard.gust[hazard.gust >= GUST_MIN]
    bins = np.digitize(expected, np.arange(GUST_MIN, GUST_MAX + 1))
    assert rows["intensity_bin_id"].tolist() == np.minimum(bins, INTENSITY_BINS).tolist()


def test_occurrences_are_winter_days_of_the_simulated_years(data: Path) -> None:
    header = np.fromfile(data / "occurrence_lt.bin", formats.OCCURRENCE_HEADER, count=1)
    rows = np.fromfile(data / "occurrence_lt.bin", formats.OCCURRENCE_ROW, offset=header.nbytes)
    day_of_march_year = rows["occ_date_id"] % 365.2425  # day 0 is the first of March

    assert header.tolist() == [(formats.WITH_DATES, YEARS)]
    assert rows["period_no"].min() >= 1
    assert rows["period_no"].max() <= YEARS
    summer = (day_of_march_year > 33) & (day_of_march_year < 212)
    assert not summer.any()


@pytest.mark.parametrize(
    ("date", "expected"), [((1, 3, 1), 365), ((2000, 2, 29), 730484), ((2000, 3, 1), 730485), ((2024, 12, 31), 739556)]
)
def test_day_numbers_count_from_the_first_of_march_of_the_year_zero(date: tuple[int, int, int], expected: int) -> None:
    assert formats.date_ids(*(np.array([part]) for part in date)).tolist() == [expected]


def test_storms_come_as_often_as_their_rates_say(hazard: Hazard) -> None:
    happened = hazard.occurrences.event_id.size
    assert happened == pytest.approx(hazard.rate.sum() * YEARS, rel=0.03)
    per_year = np.bincount(hazard.occurrences.year, minlength=YEARS + 1)[1:]
    assert per_year.var() == pytest.approx(per_year.mean(), rel=0.06), "Poisson: the variance is the mean"


def test_gusts_are_stronger_at_the_coast_than_inland_and_in_the_open_than_in_town(hazard: Hazard) -> None:
    for years in (10, 50, 200):
        coast, inland, port, city = (return_level(hazard, hazard.grid.nearest(*at), years) for at in PLACES.values())
        assert coast > inland
        assert port > city
        assert coast > port
        assert inland > city


def test_gusts_rise_with_the_return_period_and_stay_within_what_europe_has_seen(hazard: Hazard) -> None:
    cell = hazard.grid.nearest(*PLACES["Senna Head, open coast"])
    levels = [return_level(hazard, cell, years) for years in (2, 5, 10, 20, 50, 100, 200, 500)]
    assert levels == sorted(levels)
    assert 38 < levels[4] < 48, "50 years, exposed coast"
    assert hazard.gust.max() < 75


def test_the_gusts_in_the_readme_are_the_model_s(hazard: Hazard) -> None:
    text = README.read_text(encoding="utf-8")
    for name, place in PLACES.items():
        cell = hazard.grid.nearest(*place)
        levels = " | ".join(f"{return_level(hazard, cell, years):.0f}" for years in (2, 10, 50, 100, 200))
        assert f"| {name} | {hazard.grid.inland_km[cell]:.0f} | {levels} |" in text


def test_the_grid_has_sea_in_the_west_and_land_in_the_east() -> None:
    grid = build_grid()
    assert 0 < grid.inland_km.min() < 15
    assert grid.inland_km.max() > 150
    assert grid.lon[grid.inland_km < 15].mean() < grid.lon[grid.inland_km > 100].mean()
    assert (np.diff(grid.areaperil_id.astype(int)) > 0).all()
