"""The modelled area: a regular grid over a fictional west-facing coast, and what each cell does to the wind."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LAT_MIN: Final = 51.0
LON_MIN: Final = -4.0
CELL_DEGREES: Final = 0.1
ROWS: Final = 30
COLUMNS: Final = 40

KM_PER_DEGREE: Final = 111.2
CENTRE_LAT: Final = LAT_MIN + ROWS * CELL_DEGREES / 2
CENTRE_LON: Final = LON_MIN + COLUMNS * CELL_DEGREES / 2

OPEN_COUNTRY_ROUGHNESS_M: Final = 0.03
REFERENCE_HEIGHT_M: Final = 10.0
PEAK_FACTOR: Final = 3.5


@dataclass(frozen=True, slots=True)
class Town:
    """A fictional settlement: where it is, and how far (km) its roughness reaches."""

    name: str
    lat: float
    lon: float
    radius_km: float


@dataclass(frozen=True, slots=True)
class Grid:
    """The land cells, in ascending order of ``areaperil_id``; every array has shape (cells,)."""

    areaperil_id: NDArray[np.uint32]
    lat: Floats  # cell centre, degrees
    lon: Floats  # cell centre, degrees
    inland_km: Floats  # distance from the nearest sea cell
    roughness_m: Floats  # aerodynamic roughness length
    gust_factor: Floats  # gust in this cell over the gust at sea

    def nearest(self, lat: float, lon: float) -> int:
        """The index of the land cell whose centre is nearest to a place."""
        return int(np.argmin(np.hypot(*offset_km(self.lat, self.lon, lat, lon))))


def coast_longitude(lat: Floats | float) -> Floats:
    """The longitude of the shore at a latitude: headlands, and a bay at 52.6 degrees north."""
    north = np.asarray(lat, dtype=np.float64) - LAT_MIN
    headlands = 0.22 * np.sin(2 * np.pi * north / 1.7) + 0.10 * np.sin(2 * np.pi * north / 0.6 + 1.0)
    bay = 0.55 * np.exp(-(((north - 1.6) / 0.18) ** 2))
    return np.asarray(-3.3 + headlands + bay, dtype=np.float64)


def _port(name: str, lat: float, radius_km: float) -> Town:
    return Town(name, lat, float(coast_longitude(lat)) + 0.12, radius_km)


TOWNS: Final = (
    _port("Port Senna", 51.62, 7.0),
    _port("Marrowby", 52.62, 10.0),
    _port("Skelhaven", 53.45, 6.0),
    Town("Aldermoor", 52.10, -1.90, 12.0),
    Town("Thornwick", 53.00, -1.20, 8.0),
    Town("Castle Penn", 51.50, -0.90, 6.0),
    Town("Fellgate", 53.60, -2.05, 5.0),
)


def offset_km(lat: Floats, lon: Floats, from_lat: Floats | float, from_lon: Floats | float) -> tuple[Floats, Floats]:
    """Northing and easting in km of places from a reference, on a plane tangent at the grid's centre."""
    east = (lon - from_lon) * KM_PER_DEGREE * np.cos(np.radians(CENTRE_LAT))
    return np.asarray((lat - from_lat) * KM_PER_DEGREE), np.asarray(east)


def areaperil_ids(row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Ids from 1, counted from the south-west corner along each row."""
    return (row * COLUMNS + column + 1).astype(np.uint32)


def build_grid() -> Grid:
    """Lay the grid over the coast and keep the land."""
    row, column = (index.ravel() for index in np.indices((ROWS, COLUMNS)))
    lat = np.round(LAT_MIN + (row + 0.5) * CELL_DEGREES, 6)
    lon = np.round(LON_MIN + (column + 0.5) * CELL_DEGREES, 6)
    land = lon > coast_longitude(lat)
    inland = _distance_to_sea(lat[land], lon[land], lat[~land], lon[~land])
    roughness = _roughness(lat[land], lon[land])
    factor = _shore_decay(inland) * _roughness_factor(roughness) * _hill_factor(lat[land], lon[land])
    return Grid(areaperil_ids(row[land], column[land]), lat[land], lon[land], inland, roughness, factor)


def _distance_to_sea(lat: Floats, lon: Floats, sea_lat: Floats, sea_lon: Floats) -> Floats:
    north, east = offset_km(lat[:, None], lon[:, None], sea_lat, sea_lon)
    return np.asarray(np.hypot(north, east).min(axis=1))


def _roughness(lat: Floats, lon: Floats) -> Floats:
    """Farmland with patches of wood, and the built-up area of the towns."""
    woods = 0.25 * (np.sin(7.0 * lat + 3.0 * lon) * np.cos(4.0 * lon - 2.0 * lat)) ** 4
    roughness = 0.05 + woods
    for town in TOWNS:
        north, east = offset_km(lat, lon, town.lat, town.lon)
        roughness = roughness + 0.6 * np.exp(-((np.hypot(north, east) / town.radius_km) ** 2))
    return np.asarray(roughness)


def _roughness_factor(roughness_m: Floats) -> Floats:
    """Gust over rough ground relative to open country.

    Mean wind by the logarithmic profile with the terrain factor of EN 1991-1-4 (4.3.2); the gust adds
    ``PEAK_FACTOR`` times the turbulence intensity, which grows as the mean wind falls.
    """
    return np.asarray(_gust_over(roughness_m) / _gust_over(np.array(OPEN_COUNTRY_ROUGHNESS_M)))


def _gust_over(roughness_m: Floats) -> Floats:
    profile = np.log(REFERENCE_HEIGHT_M / roughness_m)
    mean = (roughness_m / OPEN_COUNTRY_ROUGHNESS_M) ** 0.07 * profile
    return np.asarray(mean * (1 + PEAK_FACTOR / profile))


def _shore_decay(inland_km: Floats) -> Floats:
    """The sea gust falls by 17 % over the first tens of kilometres of land."""
    return np.asarray(0.83 + 0.17 * np.exp(-inland_km / 30.0))


def _hill_factor(lat: Floats, lon: Floats) -> Floats:
    """Speed-up over a ridge of hills around 53.4 N, 2.1 W: 12 % at its crest."""
    north, east = offset_km(lat, lon, 53.4, -2.1)
    return np.asarray(1 + 0.12 * np.exp(-((north / 45.0) ** 2) - (east / 18.0) ** 2))
