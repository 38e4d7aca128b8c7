from pathlib import Path

import pandas as pd
import pytest

from services.model_worker.steps.collect_keys import merge_directories


@pytest.fixture
def chunks(tmp_path: Path) -> list[Path]:
    """Eleven chunks, so that the order of the chunks is not that of the letters."""
    directories = [tmp_path / f"lookup-{number}" for number in range(1, 12)]
    for directory in directories:
        directory.mkdir()
    return directories


def test_tables_follow_each_other_in_the_order_of_the_chunks(chunks: list[Path], tmp_path: Path) -> None:
    for number, chunk in enumerate(chunks, start=1):
        (chunk / "keys.csv").write_text(f"LocID,VulnerabilityID\n{number},5\n")

    merge_directories(chunks, tmp_path / "merged")

    lines = (tmp_path / "merged" / "keys.csv").read_text().splitlines()
    assert lines == ["LocID,VulnerabilityID", *(f"{number},5" for number in range(1, 12))]


def test_values_keep_their_notation(chunks: list[Path], tmp_path: Path) -> None:
    (chunks[0] / "keys.csv").write_text('LocID,ModelData\n001,"{""a"": 1.10}"\n')
    (chunks[1] / "keys.csv").write_text("LocID,ModelData\n2,NA\n")

    merge_directories(chunks, tmp_path / "merged")

    assert (tmp_path / "merged" / "keys.csv").read_text() == 'LocID,ModelData\n001,"{""a"": 1.10}"\n2,NA\n'


def test_repeated_rows_and_empty_files_add_nothing(chunks: list[Path], tmp_path: Path) -> None:
    (chunks[0] / "keys-errors.csv").write_text("LocID,Message\n")
    (chunks[1] / "keys-errors.csv").write_text("")
    (chunks[2] / "keys-errors.csv").write_text("LocID,Message\n3,no\n")
    (chunks[3] / "keys-errors.csv").write_text("LocID,Message\n3,no\n4,no\n")

    merge_directories(chunks, tmp_path / "merged")

    assert (tmp_path / "merged" / "keys-errors.csv").read_text() == "LocID,Message\n3,no\n4,no\n"


def test_a_table_that_is_empty_everywhere_stays_an_empty_file(chunks: list[Path], tmp_path: Path) -> None:
    for chunk in chunks:
        (chunk / "keys.csv").touch()

    merge_directories(chunks, tmp_path / "merged")

    assert (tmp_path / "merged" / "keys.csv").read_bytes() == b""


@pytest.mark.parametrize("name", ["events.csv", "events.bin", "occurrence.csv", "ensemble_mapping.csv"])
def test_what_every_chunk_writes_whole_comes_from_the_first(chunks: list[Path], tmp_path: Path, name: str) -> None:
    for chunk in chunks:
        (chunk / name).write_text(f"from {chunk.name}\n")

    merge_directories(chunks, tmp_path / "merged")

    assert (tmp_path / "merged" / name).read_text() == "from lookup-1\n"


def test_parquet_rows_of_the_same_index_are_one_row(chunks: list[Path], tmp_path: Path) -> None:
    pd.DataFrame({"v": [1, 2]}, index=pd.Index([10, 11], name="id")).to_parquet(chunks[0] / "t.parquet")
    pd.DataFrame({"v": [9, 3]}, index=pd.Index([11, 12], name="id")).to_parquet(chunks[1] / "t.parquet")

    merge_directories(chunks, tmp_path / "merged")

    merged = pd.read_parquet(tmp_path / "merged" / "t.parquet")
    assert merged["v"].to_dict() == {10: 1, 11: 2, 12: 3}


def test_parquet_rows_without_an_index_of_their_own_are_all_kept(chunks: list[Path], tmp_path: Path) -> None:
    pd.DataFrame({"v": [1, 2]}).to_parquet(chunks[0] / "t.parquet")
    pd.DataFrame({"v": [2, 3]}).to_parquet(chunks[1] / "t.parquet")

    merge_directories(chunks, tmp_path / "merged")

    assert pd.read_parquet(tmp_path / "merged" / "t.parquet")["v"].tolist() == [1, 2, 3]


def test_files_that_nobody_can_merge_are_left_out(chunks: list[Path], tmp_path: Path) -> None:
    (chunks[0] / "lookup.log").write_text("text")
    (chunks[0] / "keys.csv").write_text("LocID\n1\n")

    merge_directories(chunks, tmp_path / "merged")

    assert [path.name for path in (tmp_path / "merged").iterdir()] == ["keys.csv"]
