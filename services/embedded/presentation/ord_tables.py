"""Read the ORD tables of an output folder: `<perspective>_S<set>_<report>.csv`, columns found by their names."""

import csv
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from .losses import Basis, Calculation, CurveKind, CurvePoint, Perspective

# Reinsurance at an inuring priority has a part more in the name (`ri_2_S1_ept.csv`); it is not final, and is left out.
_TABLE = re.compile(r"(gul|il|ri)_S(\d+)_(palt|altmeanonly|ept|summary-info)\.(csv|parquet)")
AVERAGES = ("palt", "altmeanonly")
_TAIL_VALUES = (2, 4)  # EPType of the mean losses beyond an OEP and an AEP loss, which are not shown

T = TypeVar("T")


class OutputsError(Exception):
    """The outputs of the run cannot be read."""


class OutputFolderMissingError(OutputsError):
    """The folder of outputs does not exist."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is not a folder; unpack the output file of the analysis there first")
        self.folder = folder


class UnreadableTableError(OutputsError):
    """A table is not laid out as ORD says."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not an ORD table: {reason}; run the analysis again or remove the file")
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class AverageRow:
    """A row of the period average loss table (`palt`) or of its short form without standard deviations."""

    summary_id: int
    basis: Basis
    mean: float
    std: float | None


CurveKey = tuple[int, Calculation, CurveKind]


@dataclass(frozen=True)
class SummarySet:
    """The tables of one summary set. A table that is not there is None; `unread` names those in parquet."""

    number: int
    labels: dict[int, str] = field(default_factory=dict)
    averages: tuple[AverageRow, ...] | None = None
    curves: dict[CurveKey, tuple[CurvePoint, ...]] | None = None
    unread: tuple[str, ...] = ()

    @property
    def ids(self) -> list[int]:
        """All summary ids; the reports leave out those that never had a loss, the summary info has them."""
        in_reports = {row.summary_id for row in self.averages or ()} | {key[0] for key in self.curves or ()}
        return sorted(in_reports | set(self.labels))


def read_summary_sets(folder: Path, perspective: Perspective) -> list[SummarySet]:
    """All summary sets of a perspective, in the order of their numbers.

    Raises `OutputFolderMissingError` and `UnreadableTableError`.
    """
    if not folder.is_dir():
        raise OutputFolderMissingError(folder)
    paths: dict[int, dict[str, Path]] = defaultdict(dict)
    for path in folder.iterdir():
        match = _TABLE.fullmatch(path.name)
        if match and match[1] == perspective:
            paths[int(match[2])][f"{match[3]}.{match[4]}"] = path
    return [_summary_set(number, tables) for number, tables in sorted(paths.items())]


def _summary_set(number: int, tables: dict[str, Path]) -> SummarySet:
    averages = next((tables[f"{name}.csv"] for name in AVERAGES if f"{name}.csv" in tables), None)
    curves, info = tables.get("ept.csv"), tables.get("summary-info.csv")
    return SummarySet(
        number=number,
        labels=dict(_read(info, _label)) if info else {},
        averages=tuple(_read(averages, _average)) if averages else None,
        curves=_curves(curves) if curves else None,
        unread=tuple(sorted(path.name for path in tables.values() if path.suffix == ".parquet")),
    )


def _read(path: Path, convert: Callable[[dict[str, str]], T]) -> list[T]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            return [convert(row) for row in reader]
        except KeyError as error:
            raise UnreadableTableError(path, f"the column {error.args[0]} is missing") from error
        except (TypeError, ValueError) as error:  # a short row has None in its last cells
            raise UnreadableTableError(path, f"line {reader.line_num}, {error}") from error


def _label(row: dict[str, str]) -> tuple[int, str]:
    fields = [value for name, value in row.items() if name not in ("summary_id", "tiv")]
    return int(row["summary_id"]), " / ".join(fields)


def _average(row: dict[str, str]) -> AverageRow:
    std = float(row["SDLoss"]) if "SDLoss" in row else None
    return AverageRow(int(row["SummaryId"]), Basis(int(row["SampleType"])), float(row["MeanLoss"]), std)


def _curves(path: Path) -> dict[CurveKey, tuple[CurvePoint, ...]]:
    points: dict[CurveKey, list[CurvePoint]] = defaultdict(list)
    for key, point in _read(path, _point):
        if key is not None:
            points[key].append(point)
    return {key: tuple(sorted(found, key=lambda point: point.return_period)) for key, found in points.items()}


def _point(row: dict[str, str]) -> tuple[CurveKey | None, CurvePoint]:
    point = CurvePoint(float(row["ReturnPeriod"]), float(row["Loss"]))
    ep_type = int(row["EPType"])
    if ep_type in _TAIL_VALUES:
        return None, point
    return (int(row["SummaryId"]), Calculation(int(row["EPCalc"])), CurveKind(ep_type)), point
