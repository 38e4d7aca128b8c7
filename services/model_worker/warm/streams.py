"""sys.stdin, stdout and stderr as an interpreter opens them at its start."""

import io
import os
import sys
from typing import Any, TextIO, cast


def open_standard_streams() -> None:
    """New streams over descriptors 0, 1 and 2, with the encodings of this process's own; None where one is closed."""
    sys.stdin = sys.__stdin__ = _opened(0, "<stdin>", sys.__stdin__, writing=False)  # type: ignore[misc, assignment]
    sys.stdout = sys.__stdout__ = _opened(1, "<stdout>", sys.__stdout__, writing=True)  # type: ignore[misc, assignment]
    sys.stderr = sys.__stderr__ = _opened(2, "<stderr>", sys.__stderr__, writing=True)  # type: ignore[misc, assignment]


def _opened(descriptor: int, name: str, like: TextIO | None, *, writing: bool) -> TextIO | None:
    try:
        os.fstat(descriptor)
    except OSError:
        return None
    unbuffered = writing and getattr(like, "write_through", False)
    raw: Any = io.FileIO(descriptor, "wb" if writing else "rb", closefd=False)
    raw.name = name
    buffered: Any = raw if unbuffered else io.BufferedWriter(raw) if writing else io.BufferedReader(raw)
    text: Any = io.TextIOWrapper(
        buffered,
        encoding=like.encoding if like else "utf-8",
        errors=like.errors if like else "strict",
        newline="\n" if writing else None,
        line_buffering=writing and (descriptor == 2 or raw.isatty()),
        write_through=unbuffered,
    )
    text.mode = "w" if writing else "r"
    return cast("TextIO", text)
