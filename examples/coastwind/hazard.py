"""The whole hazard in memory: events with their gusts, and the years in which they happen."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from examples.coastwind.footprint import damaging
from examples.coastwind.grid import Floats, Grid, build_grid
from examples.coastwind.storms import YEARS, Occurrences, gust_field, sample_occurrences, sample_storms

SEED: Final = 19_871_016
STORM_STREAM, OCCURRENCE_STREAM, PORTFOLIO_STREAM = range(3)


@dataclass(frozen=True, slots=True)
class Hazard:
    """Events 1..n: ``gust`` has shape (events, cells) in m/s, ``rate`` is per year."""

    grid: Grid
    gust: Floats
    rate: Floats
    occurrences: Occurrences


def generator(stream: int) -> np.random.Generator:
    """An independent random stream, the same at every call."""
    return np.random.Generator(np.random.PCG64([SEED, stream]))


def build_hazard() -> Hazard:
    """Sample the storms, keep those that can do damage on land, and let them happen."""
    grid = build_grid()
    storms = sample_storms(generator(STORM_STREAM))
    gust = gust_field(storms, grid)
    kept = damaging(gust)
    rate = storms.rate[kept]
    return Hazard(grid, gust[kept], rate, sample_occurrences(generator(OCCURRENCE_STREAM), rate))


def return_level(hazard: Hazard, cell: int, years: float) -> float:
    """The gust (m/s) at a cell that the greatest of a year exceeds once in so many years on average.

    Empirical, from the simulated years; 0 when most years have no damaging storm there.
    """
    greatest = np.zeros(YEARS)
    gust = hazard.gust[hazard.occurrences.event_id - 1, cell]
    np.maximum.at(greatest, hazard.occurrences.year - 1, gust)
    return float(np.quantile(greatest, 1 - 1 / years))
