"""The quick count means what the careful one does, or leaves the file to it."""

import io
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from services.api import plain_rows
from services.api.plain_rows import count_plain_rows
from services.api.rows import UnreadableRows, count_rows

PLAIN = [b"a", b"1,2", b",", b"\n", b"b\n", b"b\r\n", "aü".encode()]
ODD = [b"\n", b"\r\n", b"\r", b'"', b" ", b"\t", b"\0", b"\x1f", b"\x7f"]
BEYOND_ASCII = [b"\xef\xbb\xbf", "ü".encode(), b"\xff", b"\x85", "\u2028".encode(), "\u00a0".encode(), b"\xa0"]
ROW = b"1,A,2,220000,GBP\n"


def careful(content: bytes) -> int | None:
    """By the reader of csv alone; None where it cannot read this."""
    with patch("services.api.rows.count_plain_rows", return_value=None):
        try:
            return count_rows(io.BytesIO(content), "a.csv")
        except UnreadableRows:
            return None


def texts(*pieces: bytes) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(pieces)).map(b"".join)


@given(texts(*PLAIN) | texts(*PLAIN, *ODD, *BEYOND_ASCII), st.integers(4, 12))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_both_counts_are_the_same_wherever_the_blocks_end(content: bytes, block: int) -> None:
    with patch.object(plain_rows, "_BLOCK", block):
        quick = count_plain_rows(io.BytesIO(content))

    assert quick in (careful(content), None)


def test_what_most_files_look_like_is_counted_quickly() -> None:
    for end in (b"", b"\n", b"\n\r\n\n"):
        for begin in (b"", b"\xef\xbb\xbf"):
            content = begin + b"A,B\n" + ROW * 200_000 + ROW.rstrip() + end
            assert count_plain_rows(io.BytesIO(content)) == 200_001
    assert count_plain_rows(io.BytesIO((b"A,B\n" + ROW * 10).replace(b"\n", b"\r\n"))) == 10


def test_cells_that_the_reader_refuses_are_left_to_it() -> None:
    for length in (65_000, 131_072, 131_073, 140_000, 2_000_000):
        for content in (b"A\n" + b"x" * length, b"A\n" + b"x" * length + b"\nx", ROW * 8000 + b"x" * length + b"\n"):
            assert count_plain_rows(io.BytesIO(content)) in (careful(content), None)
