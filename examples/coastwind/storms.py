"""Stochastic storms: their tracks and strength, the gust that each leaves in every cell, and when they happen."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from examples.coastwind.grid import CENTRE_LAT, CENTRE_LON, Floats, Grid, offset_km

CANDIDATES: Final = 4_000
STORMS_PER_YEAR: Final = 3.5
YEARS: Final = 10_000

GUST_THRESHOLD: Final = 32.0  # m/s, greatest gust at sea that makes a cyclone a storm
GUST_SCALE: Final = 7.6  # m/s, of the generalised Pareto distribution of the excess
GUST_SHAPE: Final = -0.17  # negative: the excess has a finite upper end
TEXTURE_SPREAD: Final = 0.05
TEXTURE_NODES: Final = (7, 6)  # coarse lattice of the texture, rows by columns

SEASON_DAYS: Final = {10: 31, 11: 30, 12: 31, 1: 31, 2: 28, 3: 31}
SEASON_SHARE: Final = (0.09, 0.15, 0.21, 0.26, 0.17, 0.12)  # of October to March


@dataclass(frozen=True, slots=True)
class Storms:
    """Parameters of the storms, each of shape (storms,). Distances are km from the grid's centre."""

    rate: Floats  # occurrences per year
    peak_gust: Floats  # m/s over the open sea
    heading: Floats  # radians clockwise from north, where the storm goes
    crossing: Floats  # northing at which the track crosses the central meridian
    peak_at: Floats  # position of the greatest strength along the track
    life: Floats  # along-track standard deviation of the strength
    radius: Floats  # distance of the strongest wind to the right of the track
    width_right: Floats  # decay of the gust beyond that radius, to the right
    width_left: Floats  # and to the left
    texture: Floats  # (storms, rows, columns): relative deviation at the nodes of the coarse lattice


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The simulated years: one element per occurrence, ordered by event, year and day."""

    event_id: NDArray[np.int64]
    year: NDArray[np.int64]  # 1..YEARS
    month: NDArray[np.int64]
    day: NDArray[np.int64]


def sample_storms(rng: np.random.Generator, count: int = CANDIDATES) -> Storms:
    """Draw storms, the strong ones more often than they happen.

    The exceedance probability of storm i is ``u_i ** 2`` with stratified ``u_i``; its rate carries the
    weight ``2 u_i``, so that few events stand for the many weak storms and many for the rare strong ones.
    """
    u = (np.arange(count) + rng.uniform(size=count)) / count
    exceedance = u**2
    width = rng.lognormal(np.log(230.0), 0.30, count)
    return Storms(
        rate=STORMS_PER_YEAR * u / u.sum(),
        peak_gust=GUST_THRESHOLD + GUST_SCALE * (1 - exceedance ** (-GUST_SHAPE)) / -GUST_SHAPE,
        heading=np.radians(rng.normal(72.0, 13.0, count)),
        crossing=rng.normal(220.0, 280.0, count),
        peak_at=rng.uniform(-650.0, 550.0, count),
        life=rng.lognormal(np.log(620.0), 0.25, count),
        radius=rng.lognormal(np.log(140.0), 0.35, count),
        width_right=width,
        width_left=0.55 * width,
        texture=rng.normal(0.0, TEXTURE_SPREAD, (count, *TEXTURE_NODES)),
    )


def gust_field(storms: Storms, grid: Grid) -> Floats:
    """The maximum gust (m/s) of every storm in every cell, shape (storms, cells), rounded to 0.01 m/s.

    Strength changes along the track and across it like two half Gaussians; as both are fixed to the track,
    the maximum over time in a cell is the value at the storm's closest approach.
    """
    north, east = offset_km(grid.lat, grid.lon, CENTRE_LAT, CENTRE_LON)
    sine, cosine = np.sin(storms.heading)[:, None], np.cos(storms.heading)[:, None]
    from_track = north[None, :] - storms.crossing[:, None]
    along = east * sine + from_track * cosine - storms.peak_at[:, None]
    beyond = east * cosine - from_track * sine - storms.radius[:, None]
    width = np.where(beyond > 0, storms.width_right[:, None], storms.width_left[:, None])
    strength = np.exp(-0.5 * ((along / storms.life[:, None]) ** 2 + (beyond / width) ** 2))
    gust = storms.peak_gust[:, None] * strength * (1 + _texture(storms, grid)) * grid.gust_factor
    return np.asarray(np.round(gust, 2))


def _texture(storms: Storms, grid: Grid) -> Floats:
    """Bands and convection: smooth noise, interpolated bilinearly from a coarse lattice."""
    rows, columns = TEXTURE_NODES
    y = (grid.lat - grid.lat.min()) / np.ptp(grid.lat) * (rows - 1)
    x = (grid.lon - grid.lon.min()) / np.ptp(grid.lon) * (columns - 1)
    row, column = np.minimum(y.astype(int), rows - 2), np.minimum(x.astype(int), columns - 2)
    down, right = y - row, x - column
    nodes = storms.texture
    upper = nodes[:, row, column] * (1 - right) + nodes[:, row, column + 1] * right
    lower = nodes[:, row + 1, column] * (1 - right) + nodes[:, row + 1, column + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def sample_occurrences(rng: np.random.Generator, rate: Floats, years: int = YEARS) -> Occurrences:
    """Poisson occurrences of events 1..n over simulated years; dates follow the winter season."""
    count = rng.poisson(rate * years)
    event_id = np.repeat(np.arange(1, rate.size + 1), count)
    total = event_id.size
    year = rng.integers(1, years, total, endpoint=True)
    months, days = np.array(list(SEASON_DAYS)), np.array(list(SEASON_DAYS.values()))
    slot = rng.choice(months.size, size=total, p=np.array(SEASON_SHARE))
    day = 1 + np.floor(rng.uniform(size=total) * days[slot]).astype(np.int64)
    order = np.lexsort((day, months[slot], year, event_id))
    return Occurrences(event_id[order], year[order], months[slot][order], day[order])
