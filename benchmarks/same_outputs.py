"""Whether two runs have computed the same losses."""

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path

_RELATIVE = 1e-6
_MEANS = "ept"
"""In the names of tables of means over samples or over a tail: another division adds up in another order."""
_MEANS_OF_SAMPLES = "psept"
_SETTINGS = "analysis_settings.json"


def differences(ours: Path, theirs: Path, *, exactly: bool = False) -> list[str]:
    """Names of files that are missing in one of two output directories, or are not the same in both.

    The same are equal bytes, settings of equal JSON and, unless `exactly`, tables that have equal rows in another
    order, and means to 1e-6.
    """
    names = {path.name for folder in (ours, theirs) for path in folder.iterdir()}
    return sorted(name for name in names if not _same(ours / name, theirs / name, exactly=exactly))


def other_bytes(ours: Path, theirs: Path) -> list[str]:
    """Names of files whose bytes differ, but for settings and for tables of means over samples."""
    compared = (path.name for path in theirs.iterdir() if path.name != _SETTINGS and _MEANS_OF_SAMPLES not in path.name)
    return sorted(name for name in compared if (ours / name).read_bytes() != (theirs / name).read_bytes())


def _same(one: Path, other: Path, *, exactly: bool) -> bool:
    if not (one.is_file() and other.is_file()):
        return False
    if one.name == _SETTINGS:
        return bool(json.loads(one.read_text()) == json.loads(other.read_text()))
    if one.read_bytes() == other.read_bytes():
        return True
    return not exactly and one.suffix == ".csv" and _same_table(one, other)


def _same_table(one: Path, other: Path) -> bool:
    (head, *rows), (other_head, *other_rows) = _table(one), _table(other)
    if head != other_head or len(rows) != len(other_rows):
        return False
    if _MEANS not in one.name:
        return sorted(rows) == sorted(other_rows)
    return all(map(_close, _sorted(rows), _sorted(other_rows)))


def _table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file)) or [[]]


def _sorted(rows: Iterable[list[str]]) -> list[list[float]]:
    return sorted([float(cell) for cell in row] for row in rows)


def _close(row: list[float], other: list[float]) -> bool:
    return len(row) == len(other) and all(
        math.isclose(one, two, rel_tol=_RELATIVE) for one, two in zip(row, other, strict=True)
    )
