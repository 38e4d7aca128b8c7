"""Directories that many attempts of a worker read: made once, never written to, linked into each attempt's own.

Attempts are processes that can be killed at any line. The lock is therefore the kernel's (`flock`), which goes with the
process that holds it, and a tree that was being made has another name until it is whole.
"""

import errno
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.model_worker.file_lock import locked

_READ_ONLY = 0o444
_NO_LINKS_HERE = frozenset({errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP})


@dataclass(frozen=True)
class SharedTrees:
    """Trees by name below `directory`, which is on the same disk as the attempts."""

    directory: Path

    def link(self, name: str, make: Callable[[Path], object], target: Path, *, shared: Collection[str]) -> Path:
        """Make the directory `target` with the content of the tree `name`, which `make` makes where nobody has yet.

        Files below the entries `shared` of the tree are hard links to read-only files; all others are copies.
        `make` is called with the path at which the tree has to appear whole or not at all; its errors pass through.
        """
        tree = self.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        with locked(self._lock_of(name)):
            if not tree.is_dir():
                make(tree)
            for entry in sorted(tree.iterdir()):
                _repeat(entry, target / entry.name, _link if entry.name in shared else _copy)
        return target

    def forget_older_than(self, seconds: float) -> None:
        """Remove what nobody has linked for so long. Attempts that have links keep their files."""
        oldest = time.time() - seconds
        for lock in self.directory.glob("*.lock"):
            with suppress(BlockingIOError), locked(lock, wait=False):
                if lock.stat().st_mtime < oldest:
                    shutil.rmtree(self.directory / lock.stem, ignore_errors=True)
                    lock.unlink()

    def _lock_of(self, name: str) -> Path:
        """The lock of a tree. Its time of change is that of the last use."""
        lock = self.directory / f"{name}.lock"
        lock.touch()
        return lock


def _repeat(source: Path, target: Path, put: Callable[[Path, Path], object]) -> None:
    """Make `target` like `source`, each file by `put`."""
    if source.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.readlink())
    elif source.is_dir():
        target.mkdir(parents=True)
        for entry in sorted(source.iterdir()):
            _repeat(entry, target / entry.name, put)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        put(source, target)


def _link(source: Path, target: Path) -> None:
    """A write to one link is a write to all: so nobody may write, as far as the system can see to that."""
    source.chmod(_READ_ONLY)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
