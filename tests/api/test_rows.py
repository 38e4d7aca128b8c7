"""How rows of location files are counted."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.api.rows import LONGEST_LINE, UnreadableRows, count_rows

TEXT = b"A,B\n1,2\n3,4\n"


def _zip(*contents: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.csv", content)
    return target.getvalue()


def _parquet(rows: int) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(rows))}), target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "filename", "rows"),
    [
        (TEXT, "a.csv", 2),
        (TEXT, "A.CSV", 2),
        (TEXT, "a.txt", 2),
        (TEXT, "a", 2),
        (b"A,B\r\n1,2\r\n\r\n   \r\n3,4\r\n\r\n", "a.csv", 2),
        (b"A,B\r1,2\r3,4", "a.csv", 2),
        (b'A,B\n"1\n2",3\n', "a.csv", 1),
        (b"\xef\xbb\xbfA,B\n1,2\n", "a.csv", 1),
        ("A,B\nZürich,ü\n".encode(), "a.csv", 1),
        ("A,B\nZürich,ü\n".encode("cp1252"), "a.csv", 1),
        (b"A,B\n", "a.csv", 0),
        (b"\n\n", "a.csv", 0),
        (b"A\n1\n\n2\n", "a.csv", 2),
        (gzip.compress(TEXT, mtime=0), "a.csv.gz", 2),
        (bz2.compress(TEXT), "a.csv.bz2", 2),
        (lzma.compress(TEXT), "a.csv.xz", 2),
        (_zip(TEXT), "a.zip", 2),
        (_parquet(7), "a.parquet", 7),
        (_parquet(0), "a.pq", 0),
    ],
)
def test_rows_are_counted(content: bytes, filename: str, rows: int) -> None:
    assert count_rows(io.BytesIO(content), filename) == rows


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (bytes(range(256)) * 10, "a.csv"),
        (b"\x00" * 1000, "a.csv"),
        (gzip.compress(TEXT, mtime=0), "a.csv"),
        (_parquet(3), "a.csv"),
        (b"A\n" + b"x" * 200_000, "a.csv"),
        (TEXT, "a.csv.gz"),
        (gzip.compress(TEXT, mtime=0)[:-6], "a.csv.gz"),
        (TEXT, "a.bz2"),
        (TEXT, "a.xz"),
        (lzma.compress(TEXT)[:-6], "a.xz"),
        (TEXT, "a.zip"),
        (_zip(), "a.zip"),
        (_zip(TEXT, TEXT), "a.zip"),
        (TEXT, "a.parquet"),
        (_parquet(3)[:-20], "a.parquet"),
        (b'[{"A": 1}]', "a.json"),
        (gzip.compress(b"A\n" + b"x" * (LONGEST_LINE + 1), mtime=0), "a.csv.gz"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, filename: str) -> None:
    with pytest.raises(UnreadableRows) as caught:
        count_rows(io.BytesIO(content), filename)
    assert len(str(caught.value)) > 10


class Endless(io.RawIOBase):
    """A line without an end, as a few bytes may be decompressed to; nobody may take all of it."""

    taken = 0

    def seekable(self) -> bool:
        return True

    def seek(self, *_where: int) -> int:
        return 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self.taken += size
        assert size >= 0
        assert self.taken < 16 * LONGEST_LINE
        return b"x" * size

    read1 = read


def test_a_line_without_an_end_is_not_taken_into_memory() -> None:
    with pytest.raises(UnreadableRows, match="a line of more than"):
        count_rows(Endless(), "a.csv")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrap", [gzip.compress, bytes])
def test_counting_leaves_the_file_open_and_whole(wrap: Callable[[bytes], bytes]) -> None:
    content = wrap(TEXT)
    stream = io.BytesIO(content)

    count_rows(stream, "a.csv.gz" if wrap is gzip.compress else "a.csv")

    stream.seek(0)
    assert stream.read() == content
