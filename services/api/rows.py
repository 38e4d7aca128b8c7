"""How many rows a location file has, counted from its bytes in constant memory.

Blank lines do not count, as in the readers of the models. Text is UTF-8, else an 8-bit encoding; control characters
mean that it is no text.
"""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import BinaryIO, cast

from services.api.plain_rows import count_plain_rows

LONGEST_LINE = 4 * 1024 * 1024
"""Characters: a few bytes may be decompressed to one line that fills the memory."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    csv.Error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
)


class UnreadableRows(Exception):
    """The file cannot be read."""


def count_rows(stream: BinaryIO, filename: str) -> int:
    """Rows of a seekable file, read from its beginning; its name says what it is. Raises UnreadableRows."""
    suffix = PurePath(filename).suffix.lower()
    if suffix in _WITHOUT_ROWS:
        raise UnreadableRows(f"'{filename}' is not a file of a type that has rows ({', '.join(sorted(_COUNTERS))})")
    # What is called otherwise, or has no suffix, is read as csv by the readers of the models.
    count = _COUNTERS.get(suffix, _count_csv)
    try:
        stream.seek(0)
        return count(stream)
    except _UNREADABLE as error:
        raise UnreadableRows(f"'{filename}' cannot be read: {error}") from error


def _count_csv(stream: BinaryIO) -> int:
    return _count_text(lambda: _plain(stream))


def _count_gzip(stream: BinaryIO) -> int:
    return _count_text(lambda: cast("BinaryIO", gzip.GzipFile(fileobj=_plain(stream))))


def _count_bzip2(stream: BinaryIO) -> int:
    return _count_text(lambda: cast("BinaryIO", bz2.BZ2File(_plain(stream))))


def _count_xz(stream: BinaryIO) -> int:
    return _count_text(lambda: cast("BinaryIO", lzma.LZMAFile(_plain(stream))))


def _count_zip(stream: BinaryIO) -> int:
    with zipfile.ZipFile(stream) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise UnreadableRows(f"a zip archive must hold one file, not {len(members)}")
        return _count_text(lambda: cast("BinaryIO", archive.open(members[0])))


def _count_parquet(stream: BinaryIO) -> int:
    # Imported here: pyarrow takes 60 MB, and most uploads are csv.
    from pyarrow.parquet import ParquetFile

    return int(ParquetFile(stream).metadata.num_rows)


_COUNTERS: Mapping[str, Callable[[BinaryIO], int]] = {
    ".csv": _count_csv,
    ".gz": _count_gzip,
    ".bz2": _count_bzip2,
    ".xz": _count_xz,
    ".zip": _count_zip,
    ".parquet": _count_parquet,
    ".pq": _count_parquet,
}


_WITHOUT_ROWS = frozenset({".json"})


def _plain(stream: BinaryIO) -> BinaryIO:
    stream.seek(0)
    return stream


def _count_text(reopen: Callable[[], BinaryIO]) -> int:
    rows = count_plain_rows(reopen())
    return _count_with_care(reopen) if rows is None else rows


def _count_with_care(reopen: Callable[[], BinaryIO]) -> int:
    try:
        return _count_lines(reopen(), "utf-8-sig")
    except UnicodeDecodeError:
        return _count_lines(reopen(), "latin-1")


def _count_lines(stream: BinaryIO, encoding: str) -> int:
    with _text(stream, encoding) as text:
        rows = csv.reader(_checked(text))
        filled = sum(1 for row in rows if any(row) and (len(row) > 1 or row[0].strip()))
    return max(filled - 1, 0)


@contextmanager
def _text(stream: BinaryIO, encoding: str) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    try:
        yield text
    finally:
        # The stream belongs to the caller: the wrapper must not close it.
        text.detach()


def _checked(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE):
        if _CONTROL.search(line):
            raise ValueError("it holds control characters, so it is no text")
        if len(line) == LONGEST_LINE:
            raise ValueError(f"it has a line of more than {LONGEST_LINE} characters")
        yield line
