"""The page of faults leads from each row to a test that there is, and has a row for each fault that is tested."""

import re
from pathlib import Path

from tests.faults.platform.faults import FAULTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def rows() -> list[list[str]]:
    """The cells of the table of faults."""
    section = PAGE.read_text("utf-8").split("\n## Faults\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")
    ][1:]


def is_there(test: str) -> bool:
    """Whether there is this file, and in it this function."""
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and (not name or f"def {name}(" in (ROOT / path).read_text("utf-8"))


def test_each_row_names_a_test_that_is_there() -> None:
    named = [re.fullmatch(r"`(tests/\S+)`|same", row[-1]) for row in rows()]

    assert all(named)
    assert [match[1] for match in named if match and match[1] and not is_there(match[1])] == []


def test_every_single_fault_has_a_row() -> None:
    said = {name for row in rows() for name in re.findall(r"`([^`]+)`", row[0])}
    patterns = [re.escape(name).replace("…", ".+") for name in said]

    assert [name for name in FAULTS if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []
