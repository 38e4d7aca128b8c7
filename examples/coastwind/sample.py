"""The model with a handful of locations and every report: ``python -m examples.coastwind.sample TARGET_DIR``.

A run of it calls every program that a run can call, and computes next to nothing: what a machine has to compile, it
compiles in this run.
"""

import argparse
import csv
from pathlib import Path
from typing import Any, Final

from examples.coastwind import settings
from examples.coastwind.build import write_model
from examples.coastwind.tables import write_json, write_records

LOCATIONS_PER_ACCOUNT: Final = 2

_EXCEEDANCES = ("full_uncertainty", "mean_sample", "per_sample_mean")
REPORTS: Final = (
    *(f"{table}_{content}" for table in ("elt", "plt") for content in ("sample", "quantile", "moment")),
    *("alt_period", "alt_meanonly", "alct_convergence"),
    *(f"ept_{kind}_{of}" for kind in _EXCEEDANCES for of in ("aep", "oep")),
    *("psept_aep", "psept_oep"),
)
"""Every table of Oasis that can be asked for (ORD)."""


def write_sample(directory: Path) -> None:
    """Write the model into an empty directory, with few locations of each account and settings for all reports."""
    write_model(directory)
    locations = directory / "exposure" / "location.csv"
    with locations.open(encoding="utf-8", newline="") as file:
        records: list[dict[str, Any]] = list(csv.DictReader(file))
    write_records(locations, first_of_each_account(records))
    write_json(directory / "analysis_settings.json", with_every_report(settings.analysis_settings()))


def first_of_each_account(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `LOCATIONS_PER_ACCOUNT` records of each account, in their order."""
    seen: dict[str, int] = {}
    kept = []
    for record in records:
        account = record["AccNumber"]
        seen[account] = seen.get(account, 0) + 1
        if seen[account] <= LOCATIONS_PER_ACCOUNT:
            kept.append(record)
    return kept


def with_every_report(analysis: dict[str, Any]) -> dict[str, Any]:
    """Analysis settings that ask for `REPORTS` wherever they ask for any."""
    every = {**dict.fromkeys(REPORTS, True), "return_period_file": True}
    summaries = {name: value for name, value in analysis.items() if name.endswith("_summaries")}
    return analysis | {name: [{**one, "ord_output": every} for one in value] for name, value in summaries.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.coastwind.sample", description=__doc__)
    parser.add_argument("target", type=Path, metavar="TARGET_DIR", help="an empty or new directory")
    target = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        parser.error(f"{target} is not empty")
    write_sample(target)


if __name__ == "__main__":
    main()
