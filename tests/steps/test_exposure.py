import numpy as np
import pandas as pd
import pytest

from services.model_worker.steps.exposure import chunk_of
from services.model_worker.steps.workspace import suffix


@pytest.mark.parametrize("rows", [1, 7, 10, 23])
@pytest.mark.parametrize("chunks", [1, 2, 3, 8, 30])
def test_chunks_are_those_of_array_split(rows: int, chunks: int) -> None:
    frame = pd.DataFrame({"loc_id": np.arange(1, rows + 1), "value": np.arange(rows)})

    parts = [chunk_of(frame, chunk, chunks) for chunk in range(chunks)]

    assert [part["value"].tolist() for part in parts] == [
        part.tolist() for part in np.array_split(np.arange(rows), chunks)
    ]
    assert all(part.index.tolist() == list(range(len(part))) for part in parts)


def test_the_rows_of_a_location_stay_together() -> None:
    frame = pd.DataFrame({"loc_id": [1, 1, 1, 2, 3, 3]})

    parts = [chunk_of(frame, chunk, 2)["loc_id"].tolist() for chunk in range(2)]

    assert parts == [[1, 1, 1, 2], [3, 3]]


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("my.book.csv", ".csv"),
        ("a.csv.gz", ".csv.gz"),
        ("b.parquet", ".parquet"),
        ("b.PARQUET", ".parquet"),
        ("b.pq", ".parquet"),
        ("plain", ".csv"),
        ("c.zip", ".zip"),
    ],
)
def test_a_placed_file_keeps_the_suffix_that_its_reader_needs(filename: str, expected: str) -> None:
    assert suffix(filename) == expected
