"""The example portfolio: locations around the towns of the coast, policies, and a reinsurance programme (OED)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from examples.coastwind.grid import CELL_DEGREES, CENTRE_LAT, KM_PER_DEGREE, TOWNS, Floats, Grid, Town
from examples.coastwind.settings import PERIL
from examples.coastwind.tables import write_records

PORTFOLIO: Final = "1"
CURRENCY: Final = "GBP"
COUNTRY: Final = "GB"
OED_VERSION: Final = "4.0.0"
INCEPTION, EXPIRY = "2025-01-01", "2025-12-31"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Book:
    """The locations of one account, in distribution. Values in GBP, shares of the buildings' value."""

    account: str
    locations: int
    median_value: float
    value_spread: float  # standard deviation of the logarithm
    contents_share: float
    interruption_share: float
    constructions: tuple[int, ...]  # OED codes, each as likely as it is often named
    occupancies: tuple[int, ...]
    deductible_share: float  # of the location's value
    deductible_minimum: float


BOOKS: Final = (
    Book("Homes", 230, 310_000, 0.35, 0.25, 0.06, (5103, 5110, 5110, 5050, 5000), (1051, 1070, 1071, 1072), 0, 350),
    Book("Housing", 40, 4_200_000, 0.5, 0.05, 0.08, (5103, 5151, 5158), (1052, 1055), 0.001, 1_000),
    Book("Shops", 90, 1_600_000, 0.6, 0.45, 0.30, (5103, 5200, 5152, 5000), (1101, 1104, 1119, 1122), 0.002, 2_500),
    Book("Works", 40, 5_500_000, 0.7, 0.60, 0.35, (5201, 5200, 5206, 5156), (1150, 1152, 1153), 0.002, 10_000),
)


def build_locations(rng: np.random.Generator, grid: Grid) -> list[Record]:
    """One OED location record per risk, numbered within the portfolio, all of them on land."""
    records: list[Record] = []
    for book in BOOKS:
        for _ in range(book.locations):
            records.append(_location(rng, grid, book, len(records) + 1))
    return records


def _location(rng: np.random.Generator, grid: Grid, book: Book, number: int) -> Record:
    town = TOWNS[rng.choice(len(TOWNS), p=_town_shares())]
    lat, lon = _place_on_land(rng, grid, town)
    building = _rounded(book.median_value * rng.lognormal(0.0, book.value_spread))
    contents, interruption = _rounded(building * book.contents_share), _rounded(building * book.interruption_share)
    deductible = max(book.deductible_minimum, book.deductible_share * (building + contents + interruption))
    return {
        "PortNumber": PORTFOLIO,
        "AccNumber": book.account,
        "LocNumber": f"L{number:04d}",
        "LocName": f"{town.name} {number}",
        "CountryCode": COUNTRY,
        "Latitude": f"{lat:.5f}",
        "Longitude": f"{lon:.5f}",
        "City": town.name,
        "ConstructionCode": int(rng.choice(book.constructions)),
        "OccupancyCode": int(rng.choice(book.occupancies)),
        "LocPerilsCovered": PERIL,
        "BuildingTIV": building,
        "OtherTIV": 0,
        "ContentsTIV": contents,
        "BITIV": interruption,
        "LocCurrency": CURRENCY,
        "LocPeril": PERIL,
        "LocDedType6All": 0,
        "LocDed6All": round(deductible),
        "OEDVersion": OED_VERSION,
    }


def _town_shares() -> Floats:
    size = np.array([town.radius_km**2 for town in TOWNS])
    return np.asarray(size / size.sum())


def _place_on_land(rng: np.random.Generator, grid: Grid, town: Town) -> tuple[float, float]:
    """A place near a town whose cell is land; towns by the sea are drawn until one is."""
    while True:
        north, east = rng.normal(0.0, 0.8 * town.radius_km, 2)
        lat = town.lat + north / KM_PER_DEGREE
        lon = town.lon + east / (KM_PER_DEGREE * np.cos(np.radians(CENTRE_LAT)))
        cell = grid.nearest(lat, lon)
        if max(abs(grid.lat[cell] - lat), abs(grid.lon[cell] - lon)) < 0.499 * CELL_DEGREES:
            return lat, lon


def _rounded(value: float) -> int:
    return round(value / 1000) * 1000


def build_accounts() -> list[Record]:
    """Policies: homes at full value, housing with an aggregate deductible, shops and works in layers."""
    return [
        _policy("Homes", "H-1"),
        _policy("Housing", "HA-1", PolDed6All=25_000, PolLimit6All=20_000_000),
        _policy("Shops", "S-1", LayerNumber=1, LayerParticipation=1.0, LayerLimit=8_000_000, LayerAttachment=50_000),
        _policy("Works", "W-1", LayerNumber=1, LayerParticipation=0.8, LayerLimit=5_000_000, LayerAttachment=100_000),
        _policy(
            "Works", "W-2", LayerNumber=2, LayerParticipation=0.5, LayerLimit=25_000_000, LayerAttachment=5_100_000
        ),
    ]


def _policy(account: str, policy: str, **terms: float) -> Record:
    return {
        "PortNumber": PORTFOLIO,
        "AccNumber": account,
        "AccCurrency": CURRENCY,
        "PolNumber": policy,
        "PolPerilsCovered": PERIL,
        "PolPeril": PERIL,
        "PolInceptionDate": INCEPTION,
        "PolExpiryDate": EXPIRY,
        "PolDedType6All": 0,
        "PolDed6All": 0,
        "PolLimitType6All": 0,
        "PolLimit6All": 0,
        "LayerNumber": 1,
        "LayerParticipation": 1.0,
        "LayerLimit": 0,
        "LayerAttachment": 0,
        "OEDVersion": OED_VERSION,
        **terms,
    }


def build_reinsurance() -> tuple[list[Record], list[Record]]:
    """Contracts and their scope: a quota share of the commercial accounts, then a catastrophe cover of the net loss."""
    contracts = [
        _contract(1, "Commercial quota share", "QS", 1, RiskLevel="ACC", CededPercent=0.3),
        _contract(2, "Catastrophe excess of loss", "CXL", 2, OccAttachment=2_500_000, OccLimit=15_000_000),
    ]
    scopes = [_scope(1, "Shops"), _scope(1, "Works"), _scope(2, "")]
    return contracts, scopes


def _contract(number: int, name: str, kind: str, inuring: int, **terms: float | str) -> Record:
    return {
        "ReinsNumber": number,
        "ReinsLayerNumber": 1,
        "ReinsName": name,
        "ReinsPeril": PERIL,
        "ReinsInceptionDate": INCEPTION,
        "ReinsExpiryDate": EXPIRY,
        "CededPercent": 1.0,
        "RiskLimit": 0,
        "RiskAttachment": 0,
        "OccLimit": 0,
        "OccAttachment": 0,
        "PlacedPercent": 1.0,
        "ReinsCurrency": CURRENCY,
        "InuringPriority": inuring,
        "ReinsType": kind,
        "RiskLevel": "SEL",
        "UseReinsDates": "N",
        "OEDVersion": OED_VERSION,
        **terms,
    }


def _scope(number: int, account: str) -> Record:
    return {
        "ReinsNumber": number,
        "PortNumber": PORTFOLIO,
        "AccNumber": account,
        "PolNumber": "",
        "LocGroup": "",
        "LocNumber": "",
        "CedantName": "",
        "ProducerName": "",
        "LOB": "",
        "CountryCode": "",
        "ReinsTag": "",
        "CededPercent": "",
        "OEDVersion": OED_VERSION,
    }


def write_portfolio(directory: Path, rng: np.random.Generator, grid: Grid) -> None:
    """Write the four OED files."""
    contracts, scopes = build_reinsurance()
    write_records(directory / "location.csv", build_locations(rng, grid))
    write_records(directory / "account.csv", build_accounts())
    write_records(directory / "ri_info.csv", contracts)
    write_records(directory / "ri_scope.csv", scopes)
