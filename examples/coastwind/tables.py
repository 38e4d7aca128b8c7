"""Small text files, written the same way on every platform."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a line of column names; lines end with a newline alone."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_records(path: Path, records: Sequence[dict[str, object]]) -> None:
    """Write dictionaries that all have the keys of the first."""
    columns = list(records[0])
    write_csv(path, columns, ([record[column] for column in columns] for record in records))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an indented JSON object in the order of its keys."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
