"""When outputs count as the same."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.same_outputs import differences

TABLE = "EventId,Loss\n1,2.5\n2,3.0\n"
SETTINGS = '{"a": 1, "b": 2}'


def folder(path: Path, files: Mapping[str, str]) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("gul_S1_melt.csv", TABLE, TABLE),
        ("gul_S1_melt.csv", TABLE, "EventId,Loss\n2,3.0\n1,2.5\n"),
        ("gul_S1_psept.csv", TABLE, "EventId,Loss\n1,2.5000001\n2,3.0\n"),
        ("analysis_settings.json", SETTINGS, '{"b": 2, "a": 1}'),
    ],
)
def test_the_same_outputs_have_no_differences(tmp_path: Path, name: str, ours: str, theirs: str) -> None:
    folders = folder(tmp_path / "ours", {name: ours}), folder(tmp_path / "theirs", {name: theirs})
    assert differences(*folders) == []


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("gul_S1_melt.csv", TABLE, "EventId,Loss\n1,2.5000001\n2,3.0\n"),
        ("gul_S1_melt.csv", TABLE, TABLE + "3,1.0\n"),
        ("gul_S1_melt.csv", TABLE, TABLE.replace("Loss", "MeanLoss")),
        ("gul_S1_psept.csv", TABLE, "EventId,Loss\n1,2.51\n2,3.0\n"),
        ("gul_S1_psept.csv", TABLE, ""),
        ("occurrence.bin", "12", "21"),
        ("analysis_settings.json", SETTINGS, '{"a": 1}'),
    ],
)
def test_other_outputs_are_named(tmp_path: Path, name: str, ours: str, theirs: str) -> None:
    folders = folder(tmp_path / "ours", {name: ours}), folder(tmp_path / "theirs", {name: theirs})
    assert differences(*folders) == [name]


def test_a_file_that_only_one_has_is_named(tmp_path: Path) -> None:
    folders = folder(tmp_path / "ours", {"a.csv": TABLE}), folder(tmp_path / "theirs", {"b.csv": TABLE})
    assert differences(*folders) == ["a.csv", "b.csv"]


def test_only_equal_bytes_are_exactly_the_same(tmp_path: Path) -> None:
    ours = folder(tmp_path / "ours", {"gul_S1_psept.csv": TABLE})
    theirs = folder(tmp_path / "theirs", {"gul_S1_psept.csv": TABLE.replace("2.5", "2.5000001")})
    assert differences(ours, theirs, exactly=True) == ["gul_S1_psept.csv"]
