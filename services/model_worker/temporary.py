"""Temporary files of an attempt: in a folder of its own, which goes with it, and with its worker's directory."""

from pathlib import Path
from uuid import UUID

_FOLDER = "tmp"
_DIGITS = 12
_LONGEST = 70
"""Characters of a path below which multiprocessing still finds room for its sockets: 107 bytes in all (unix(7))."""


def temporary_directory(worker: Path, attempt: UUID) -> Path:
    """Where an attempt has its temporary files. Not in its own directory, whose path is too long for sockets."""
    return worker / _FOLDER / attempt.hex[:_DIGITS]


def variables(directory: Path) -> dict[str, str]:
    """By which programs find it: none where even this path is too long; then they take the worker's."""
    return {"TMPDIR": str(directory)} if len(str(directory)) <= _LONGEST else {}
