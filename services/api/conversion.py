"""Exposure files as csv or parquet, whichever they are stored as. Source: oasis_api.md section 1.6."""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from tempfile import TemporaryFile
from typing import BinaryIO

from flask import Response

from services.api.call import Call
from services.api.downloads import Blocks, blocks_of, file_answer, stream_answer
from services.api.errors import BadRequest
from services.api.files import fetch
from services.api.oed_columns import text_columns
from shared.database.resources import File

CSV = "text/csv"
PARQUET = "application/octet-stream"
ROWS_AT_ONCE = 10_000


def converted_answer(call: Call, file: File, wanted: str | None) -> Response:
    """The file, converted where another format (`csv`, `parquet`) is wanted than it has."""
    if wanted == "parquet" and file.content_type == CSV:
        return _as_parquet(call, file)
    if wanted == "csv" and file.content_type == PARQUET:
        return _as_csv(call, file)
    return file_answer(call, file)


def _as_parquet(call: Call, file: File) -> Response:
    from pyarrow import ArrowException, string
    from pyarrow.csv import ConvertOptions, read_csv
    from pyarrow.parquet import write_table

    target = TemporaryFile()  # noqa: SIM115 - closed with the answer
    try:
        with fetch(call, file) as source:
            # A guess at the types would make numbers of postcodes and lose their leading zeros.
            texts = ConvertOptions(column_types=dict.fromkeys(_text_columns(call, source), string()))
            write_table(read_csv(source, convert_options=texts), target)
        target.seek(0)
    except ArrowException as error:
        target.close()
        raise _unreadable(file, error) from error
    return stream_answer(blocks_of(target), f"{file.filename}.parquet", PARQUET)


def _text_columns(call: Call, source: BinaryIO) -> list[str]:
    header = source.readline().decode("utf-8-sig", "replace")
    source.seek(0)
    texts = text_columns(call.dependencies.settings.oed_version)
    return [name for name in next(csv.reader([header]), []) if name.strip().lower() in texts]


def _as_csv(call: Call, file: File) -> Response:
    from pyarrow import ArrowException

    source = fetch(call, file)
    try:
        lines = _csv_lines(source)
        first = next(lines)
    except ArrowException as error:
        source.close()
        raise _unreadable(file, error) from error
    return stream_answer(Blocks(chain([first], lines), source.close), f"{file.filename}.csv", CSV)


def _csv_lines(source: BinaryIO) -> Iterator[bytes]:
    from pyarrow.parquet import ParquetFile

    parquet = ParquetFile(source)
    yield _csv_block([parquet.schema_arrow.names])
    for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE):
        yield _csv_block(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _csv_block(rows: object) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


def _unreadable(file: File, error: Exception) -> BadRequest:
    return BadRequest({"file": [f"'{file.filename}' cannot be converted: {error}"]})
