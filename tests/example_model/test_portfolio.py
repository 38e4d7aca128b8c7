"""The portfolio, the settings and the keys lookup, as the installed Oasis tools see them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from examples.coastwind import formats
from examples.coastwind.footprint import GUST_MIN
from examples.coastwind.grid import TOWNS
from examples.coastwind.hazard import Hazard
from examples.coastwind.settings import DEFAULT_SAMPLES, LOOKUP_CHUNKS, LOSS_CHUNKS, MODEL
from examples.coastwind.storms import YEARS
from examples.coastwind.vulnerability import classes, mean_damage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

EXPOSURE = {"location": "location", "account": "account", "ri_info": "ri_info", "ri_scope": "ri_scope"}
TIV_OF_COVERAGE = {1: "BuildingTIV", 3: "ContentsTIV", 4: "BITIV"}


@pytest.fixture(scope="module")
def locations(model_dir: Path) -> pd.DataFrame:
    return pd.read_csv(model_dir / "exposure" / "location.csv")


def lookup(model_dir: Path, locations: pd.DataFrame) -> pd.DataFrame:
    """The keys that the built-in lookup returns; ``loc_id`` counts from 1 as in the location file."""
    from oasislmf.lookup.builtin import Lookup

    directory = model_dir / "keys_data" / MODEL
    config = json.loads((directory / "lookup_config.json").read_text())
    config["keys_data_path"] = str(directory)
    numbered = locations.assign(loc_id=np.arange(1, len(locations) + 1))
    return Lookup(config, config_dir=str(directory)).process_locations(numbered)


def test_the_exposure_passes_the_oed_check(model_dir: Path) -> None:
    from ods_tools.oed import OedExposure

    files = {name: str(model_dir / "exposure" / f"{file}.csv") for name, file in EXPOSURE.items()}
    exposure = OedExposure(**files, check_oed=True)
    assert exposure.check() == []
    assert len(exposure.location.dataframe) == 400


def test_the_settings_pass_the_schemas(model_dir: Path) -> None:
    from ods_tools.oed import AnalysisSettingHandler, ModelSettingHandler

    model = ModelSettingHandler.make().load(model_dir / "meta-data" / "model_settings.json")
    analysis = AnalysisSettingHandler.make().load(model_dir / "analysis_settings.json")
    events = np.fromfile(model_dir / "model_data" / MODEL / "events_p.bin", formats.EVENT)

    assert model["model_settings"]["event_set"]["options"][0]["number_of_events"] == events.size
    assert model["model_default_samples"] == DEFAULT_SAMPLES
    assert all(analysis[f"{perspective}_output"] for perspective in ("gul", "il", "ri"))
    assert "number_of_samples" not in analysis, "the model's default holds"


def test_every_path_of_the_run_settings_exists(model_dir: Path) -> None:
    settings: dict[str, Any] = json.loads((model_dir / "oasislmf.json").read_text())
    paths = [value for value in settings.values() if isinstance(value, str)]
    assert paths
    assert all((model_dir / path).exists() for path in paths)


def test_chunks_are_as_many_as_the_demonstration_shows(model_dir: Path) -> None:
    chunking = json.loads((model_dir / "meta-data" / "chunking_configuration.json").read_text())
    assert (chunking["fixed_lookup_chunks"], chunking["fixed_analysis_chunks"]) == (LOOKUP_CHUNKS, LOSS_CHUNKS)


def test_every_location_finds_its_cell_and_three_functions(
    model_dir: Path, locations: pd.DataFrame, hazard: Hazard
) -> None:
    keys = lookup(model_dir, locations)

    assert set(keys["status"]) == {"success"}
    assert set(keys.groupby("loc_id")["coverage_type"].agg(frozenset)) == {frozenset({1, 3, 4})}
    places = locations.loc[keys["loc_id"] - 1]
    cells = [hazard.grid.nearest(lat, lon) for lat, lon in zip(places["Latitude"], places["Longitude"], strict=True)]
    assert keys["area_peril_id"].tolist() == hazard.grid.areaperil_id[cells].tolist()


def test_codes_of_oed_find_the_functions_of_their_class(model_dir: Path, locations: pd.DataFrame) -> None:
    codes = pd.DataFrame(
        {"ConstructionCode": [5103, 5201, 5206, 5000, 5365], "OccupancyCode": [1051, 1122, 1150, 1000, 1201]}
    )
    keys = lookup(model_dir, locations.head(5).assign(**codes))
    names = {one.vulnerability_id: (one.construction, one.occupancy) for one in classes()}

    found = keys[keys["coverage_type"] == 1].sort_values("loc_id")["vulnerability_id"].map(names).tolist()

    assert found == [
        ("masonry", "residential"),
        ("light", "commercial"),
        ("steel", "industrial"),
        ("unknown", "unknown"),
        ("unknown", "public"),
    ]


def test_a_location_at_sea_or_of_another_peril_gets_no_key(model_dir: Path, locations: pd.DataFrame) -> None:
    two = locations.head(3).assign(Longitude=[-3.95, 12.0, -2.0], LocPerilsCovered=["WEC", "WEC", "QEQ"])
    keys = lookup(model_dir, two)
    assert keys.groupby("loc_id")["status"].agg(set).to_dict() == {1: {"fail"}, 2: {"fail"}, 3: {"notmodelled"}}


def test_wind_groups_and_missing_codes_are_understood(model_dir: Path, locations: pd.DataFrame) -> None:
    plain = locations.head(1).assign(LocPerilsCovered="WW1").drop(columns=["ConstructionCode", "OccupancyCode"])
    keys = lookup(model_dir, plain)
    assert keys["status"].tolist() == ["success"] * 3
    assert set(keys["peril_id"]) == {"WEC"}


def test_locations_lie_around_the_towns(locations: pd.DataFrame) -> None:
    assert set(locations["City"]) == {town.name for town in TOWNS}
    assert locations["LocNumber"].is_unique


def test_average_loss_and_the_tail_are_plausible_parts_of_the_value(
    model_dir: Path, locations: pd.DataFrame, hazard: Hazard
) -> None:
    # Expected losses, without sampling: what the kernels should approach with many samples.
    keys = lookup(model_dir, locations)
    median = {one.vulnerability_id: one.median_gust for one in classes()}
    value = {coverage: locations[column].to_numpy(float) for coverage, column in TIV_OF_COVERAGE.items()}
    cell = np.searchsorted(hazard.grid.areaperil_id, keys["area_peril_id"])
    tiv = np.array([value[c][loc - 1] for c, loc in zip(keys["coverage_type"], keys["loc_id"], strict=True)])
    gust = hazard.gust[:, cell]
    damage = mean_damage(np.maximum(gust, 1.0), keys["vulnerability_id"].map(median).to_numpy(float))
    loss = (np.where(gust >= GUST_MIN, damage, 0.0) * tiv).sum(axis=1)[hazard.occurrences.event_id - 1]
    greatest = np.zeros(YEARS)
    np.maximum.at(greatest, hazard.occurrences.year - 1, loss)

    assert 0.2e-3 < loss.sum() / YEARS / tiv.sum() < 1.0e-3
    assert 0.01 < np.quantile(greatest, 1 - 1 / 200) / tiv.sum() < 0.05
