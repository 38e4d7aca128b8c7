"""Build the CoastWind model directory: ``python -m examples.coastwind.build TARGET_DIR``."""

import argparse
from pathlib import Path

import numpy as np

from examples.coastwind import formats, settings
from examples.coastwind.footprint import build_footprint, write_footprint
from examples.coastwind.hazard import PORTFOLIO_STREAM, Hazard, build_hazard, generator
from examples.coastwind.install import TargetOccupiedError, install, marker
from examples.coastwind.keys import write_keys
from examples.coastwind.portfolio import write_portfolio
from examples.coastwind.storms import YEARS
from examples.coastwind.vulnerability import write_vulnerability


def build(target: Path) -> bool:
    """Build the model directory; ``False`` when it is there already, built by this code.

    Raises:
        examples.coastwind.install.TargetOccupiedError: the target is something else.
    """
    return install(target.absolute(), marker(settings.MODEL, settings.VERSION), write_model)


def write_model(directory: Path) -> None:
    """Write every file of the model into an empty directory."""
    keys, data = directory / "keys_data" / settings.MODEL, directory / "model_data" / settings.MODEL
    exposure = directory / "exposure"
    for folder in (keys, data, exposure, directory / "meta-data"):
        folder.mkdir(parents=True)
    hazard = build_hazard()
    write_hazard(data, hazard)
    write_vulnerability(data)
    write_keys(keys, hazard.grid)
    write_portfolio(exposure, generator(PORTFOLIO_STREAM), hazard.grid)
    settings.write_settings(directory, number_of_events=hazard.rate.size, years=YEARS)


def write_hazard(directory: Path, hazard: Hazard) -> None:
    """Write events, footprint, occurrences, and the lists of return periods and quantiles."""
    events = np.arange(1, hazard.rate.size + 1)
    formats.write_tables(directory / f"events_{settings.EVENT_SET}.bin", formats.column(formats.EVENT, events))
    write_footprint(directory, build_footprint(hazard.gust, hazard.grid.areaperil_id))
    write_occurrences(directory / f"occurrence_{settings.OCCURRENCE_SET}.bin", hazard)
    periods, quantiles = np.array(settings.RETURN_PERIODS), np.array(settings.QUANTILES)
    formats.write_tables(directory / "returnperiods.bin", formats.column(formats.RETURN_PERIOD, periods))
    formats.write_tables(directory / "quantile.bin", formats.column(formats.QUANTILE, quantiles))


def write_occurrences(path: Path, hazard: Hazard) -> None:
    """Write the simulated years with their dates."""
    occurrences = hazard.occurrences
    rows = np.zeros(occurrences.event_id.size, dtype=formats.OCCURRENCE_ROW)
    rows["event_id"] = occurrences.event_id
    rows["period_no"] = occurrences.year
    rows["occ_date_id"] = formats.date_ids(occurrences.year, occurrences.month, occurrences.day)
    head = formats.header(formats.OCCURRENCE_HEADER, formats.WITH_DATES, YEARS)
    formats.write_tables(path, head, rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.coastwind.build", description=__doc__)
    parser.add_argument("target", type=Path, metavar="TARGET_DIR", help="model directory to create")
    target = parser.parse_args().target
    try:
        print(f"built {target}" if build(target) else f"{target} is up to date")
    except TargetOccupiedError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
