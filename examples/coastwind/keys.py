"""The keys lookup: from a location of the portfolio to the cell and the vulnerability function that it uses.

Only steps of oasislmf's built-in lookup, configured by data: the cell by the intervals that latitude and
longitude fall in, the function by the ranges in which OED numbers construction and occupancy.
"""

from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from examples.coastwind.grid import CELL_DEGREES, COLUMNS, LAT_MIN, LON_MIN, ROWS, Grid
from examples.coastwind.settings import MODEL, PERIL, SUPPLIER, VERSION
from examples.coastwind.tables import write_csv, write_json
from examples.coastwind.vulnerability import COVERAGE_FACTOR, classes

# First code of each range of OED codes, and what it is; codes before the first range are unknown.
CONSTRUCTION_RANGES: Final = {
    5050: "wood",
    5100: "masonry",
    5150: "concrete",
    5200: "steel",
    5201: "light",
    5202: "steel",
    5250: "unknown",
}
OCCUPANCY_RANGES: Final = {1050: "residential", 1100: "commercial", 1150: "industrial", 1200: "public", 1250: "unknown"}


def cell_edges(minimum: float, cells: int) -> list[float]:
    """The boundaries of the cells in one direction, in degrees."""
    return [round(minimum + number * CELL_DEGREES, 6) for number in range(cells + 1)]


def _interval(column: str, boundaries: list[float], index: str) -> dict[str, Any]:
    parameters = {
        "value_column_name": column,
        "sorted_array": boundaries,
        "index_column_name": index,
        "side": "right",
    }
    return {"type": "interval_to_index", "columns": [column], "parameters": parameters}


def _merge(columns: list[str], file: str, identifier: str) -> dict[str, Any]:
    parameters = {"file_path": f"%%KEYS_DATA_PATH%%/{file}", "id_columns": [identifier]}
    return {"type": "merge", "columns": columns, "parameters": parameters}


def lookup_config() -> dict[str, Any]:
    """The built-in lookup's configuration; steps are in the order of the strategy."""
    prepare = {"constructioncode": {"default": 5000}, "occupancycode": {"default": 1000}}
    perils = {"model_perils_covered": [PERIL]}
    coverages = {"pivots": [{"new_cols": {"coverage_type": coverage}} for coverage in COVERAGE_FACTOR]}
    steps: dict[str, dict[str, Any]] = {
        "unknown_codes": {"type": "prepare", "parameters": prepare},
        "perils": {"type": "split_loc_perils_covered", "columns": ["locperilscovered"], "parameters": perils},
        "grid_row": _interval("latitude", cell_edges(LAT_MIN, ROWS), "grid_row"),
        "grid_column": _interval("longitude", cell_edges(LON_MIN, COLUMNS), "grid_column"),
        "cell": _merge([], "areaperil_dict.csv", "area_peril_id"),
        "coverages": {"type": "simple_pivot", "parameters": coverages},
        "construction": _interval("constructioncode", list(CONSTRUCTION_RANGES), "construction_range"),
        "occupancy": _interval("occupancycode", list(OCCUPANCY_RANGES), "occupancy_range"),
        "vulnerability": _merge(["peril_id", "coverage_type"], "vulnerability_dict.csv", "vulnerability_id"),
    }
    return {
        "model": {"supplier_id": SUPPLIER, "model_id": MODEL, "model_version": VERSION},
        "builtin_lookup_type": "new_lookup",
        "keys_data_path": "./",
        "step_definition": steps,
        "strategy": list(steps),
    }


def areaperil_rows(grid: Grid) -> list[tuple[int, int, int]]:
    """Row and column of each land cell, counted from 1 as the intervals are, and its id."""
    row, column = np.divmod(grid.areaperil_id.astype(np.int64) - 1, COLUMNS)
    return list(zip((row + 1).tolist(), (column + 1).tolist(), grid.areaperil_id.tolist(), strict=True))


def vulnerability_rows() -> list[tuple[str, int, int, int, int]]:
    """The function of every combination of coverage and ranges of OED codes."""
    ids = {(curve.coverage_type, curve.construction, curve.occupancy): curve.vulnerability_id for curve in classes()}
    constructions = enumerate(["unknown", *CONSTRUCTION_RANGES.values()])
    occupancies = enumerate(["unknown", *OCCUPANCY_RANGES.values()])
    return [
        (PERIL, coverage, construction_range, occupancy_range, ids[coverage, construction, occupancy])
        for coverage, (construction_range, construction), (occupancy_range, occupancy) in product(
            COVERAGE_FACTOR, constructions, occupancies
        )
    ]


def write_keys(directory: Path, grid: Grid) -> None:
    """Write the lookup's configuration and its two tables."""
    write_json(directory / "lookup_config.json", lookup_config())
    write_csv(directory / "areaperil_dict.csv", ("grid_row", "grid_column", "area_peril_id"), areaperil_rows(grid))
    columns = ("peril_id", "coverage_type", "construction_range", "occupancy_range", "vulnerability_id")
    write_csv(directory / "vulnerability_dict.csv", columns, vulnerability_rows())
    (directory / "ModelVersion.csv").write_text(f"{SUPPLIER},{MODEL},{VERSION}\n", encoding="utf-8")
