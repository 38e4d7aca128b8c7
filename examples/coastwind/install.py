"""Put a built directory in its place: completely or not at all, and not again when it is there."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

MARKER: Final = "build.json"
SOURCES: Final = Path(__file__).parent


class TargetOccupiedError(Exception):
    """The target exists and is not a directory that an earlier build made; choose another or remove it."""

    def __init__(self, target: Path) -> None:
        super().__init__(f"{self.__doc__} Target: {target}")
        self.target = target


def marker(model: str, version: str) -> str:
    """What identifies a build: the model, its version, and a digest of the code that builds it."""
    digest = hashlib.sha256()
    for source in sorted(SOURCES.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return json.dumps({"model": model, "version": version, "sources": digest.hexdigest()}, indent=2) + "\n"


def is_current(target: Path, mark: str) -> bool:
    """Whether the target was completely built with this mark."""
    file = target / MARKER
    return file.is_file() and file.read_text(encoding="utf-8") == mark


def install(target: Path, mark: str, write: Callable[[Path], None]) -> bool:
    """Let ``write`` fill a temporary sibling and rename it to the target; ``False`` when the target is current.

    The parent directory is created. An older build is replaced. Of several builders at a time one wins, and
    the others find the target current.

    Raises:
        TargetOccupiedError: the target is something else, or a build of another version came between.
    """
    if is_current(target, mark):
        return False
    if target.exists() and not _replaceable(target):
        raise TargetOccupiedError(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as workspace:
        built = Path(workspace) / "new"
        built.mkdir()
        write(built)
        (built / MARKER).write_text(mark, encoding="utf-8")
        return _swap(built, target, mark)


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / MARKER).is_file() or not any(target.iterdir()))


def _swap(built: Path, target: Path, mark: str) -> bool:
    """Move what is in the way into the workspace, to be deleted with it, and put the new directory there."""
    if is_current(target, mark):
        return False
    with suppress(FileNotFoundError):  # nothing in the way, or another builder has just moved it
        target.rename(built.with_name("old"))
    try:
        built.rename(target)
    except OSError as error:
        if is_current(target, mark):
            return False
        raise TargetOccupiedError(target) from error
    return True
