"""What a step may print without filling the disk: the head and the tail of a log are kept, and the end of a message."""

from pathlib import Path
from typing import BinaryIO

LONGEST_MESSAGE = 64 * 1024
"""Characters of the text that an attempt ends with."""


class BoundedLog:
    """A file at `path` that only grows until its end: the first half of `limit` bytes, and at last the newest rest.

    The rest lies beside it in two files that take turns; of a longer log, they keep at least a quarter of the limit.
    Raises OSError.
    """

    def __init__(self, path: Path, limit: int | None) -> None:
        self.size = 0
        """Bytes at `path` so far."""
        self._path = path
        self._head_room = limit // 2 if limit is not None else None
        self._turn = (limit or 0) // 4
        self._head: BinaryIO | None = path.open("ab", buffering=0)
        self._tail: BinaryIO | None = None
        self._tail_size = 0
        self._left_out = 0

    def write(self, line: bytes) -> None:
        """Append a line, without its end."""
        data = line + b"\n"
        if self._tail is None and self._head is not None and self._fits(data):
            self._head.write(data)
            self.size += len(data)
        else:
            self._write_tail(data)

    def close(self) -> None:
        """Put the tail behind the head, with a line that says how much is missing between them."""
        if self._head is None:
            return
        head, self._head = self._head, None
        with head:
            if self._tail is None:
                return
            self._tail.close()
            if self._left_out:
                self.size += head.write(f"\n[… {self._left_out} bytes of this log were left out …]\n".encode())
            for part in (self._older, self._newer):
                self._append(head, part)

    @property
    def _newer(self) -> Path:
        return self._path.with_suffix(".newer")

    @property
    def _older(self) -> Path:
        return self._path.with_suffix(".older")

    def _fits(self, data: bytes) -> bool:
        return self._head_room is None or self.size + len(data) <= self._head_room

    def _write_tail(self, data: bytes) -> None:
        if self._tail is None:
            self._tail = self._newer.open("wb")
        elif self._tail_size + len(data) > self._turn and self._tail_size:
            self._tail.close()
            if self._older.exists():
                self._left_out += self._older.stat().st_size
            self._newer.replace(self._older)
            self._tail, self._tail_size = self._newer.open("wb"), 0
        self._tail.write(data)
        self._tail_size += len(data)

    def _append(self, head: BinaryIO, part: Path) -> None:
        if not part.exists():
            return
        with part.open("rb") as file:
            while block := file.read(1024 * 1024):
                head.write(block)
                self.size += len(block)
        part.unlink()


def shortened(text: str, most: int = LONGEST_MESSAGE) -> str:
    """The beginning and the end of a long text; an error is told of at the end of its traceback.

    >>> shortened("abcdefghij", 8), shortened("abc", 8)
    ('ab\\n[… 2 characters were left out …]\\nefghij', 'abc')
    """
    if len(text) <= most:
        return text
    head = most // 4
    return f"{text[:head]}\n[… {len(text) - most} characters were left out …]\n{text[len(text) - (most - head) :]}"
