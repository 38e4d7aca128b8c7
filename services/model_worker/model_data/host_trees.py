"""Folders that the workers of one host share: made once by one of them, never written to again, held while in use.

{directory}/{model}/{name}         a tree, read-only; it has this name from when it is whole
{directory}/{model}/.{name}.part   what is there of one that is being made, or that is being removed
{directory}/{model}/{name}.lock    held alone by who makes or removes the tree, together by all that use it;
                                   its time of change is that of the last use

{model} is a path of three parts. Locks are the kernel's: a worker that is killed leaves none, only its part of a tree,
with which the next one goes on. The directory may be a volume of many containers, but not a share of many hosts.
"""

import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.model_worker.file_lock import locked

log = logging.getLogger(__name__)

_LOCKS = "*/*/*/*.lock"
_PAUSE = 0.05
_PROGRAMS = (b"#!", b"\x7fELF")
"""How files begin that may be executed: an object store keeps no such rights."""


@dataclass(frozen=True)
class HostTrees:
    """Trees below `directory`."""

    directory: Path

    @contextmanager
    def held(self, model: str, name: str, make: Callable[[Path], object]) -> Iterator[Path]:
        """The tree `name` of a model; nobody removes it while inside.

        Where nobody has made it yet, `make` is called with a folder to fill, in which there may be whole files of an
        earlier try. One makes, others wait. Errors of `make` pass through.
        """
        tree, lock = self.directory / model / name, self.directory / model / f"{name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            _say_if_held(lock)
            with locked(lock, shared=True):
                if tree.is_dir():
                    os.utime(lock)
                    yield tree
                    return
            with ExitStack() as alone:
                try:
                    alone.enter_context(locked(lock, wait=False))
                except BlockingIOError:
                    # Somebody makes it, and the next look waits for that; or uses it already, and would not let go.
                    time.sleep(_PAUSE)
                    continue
                if not tree.is_dir():
                    _make(tree, make)

    def sweep(self, unused_for: float, superseded_by: Path | None = None) -> int:
        """Remove trees that nobody holds: those that nobody has used for so many seconds, and others of the same model.

        Returns how many have been removed; one that cannot be is left, and named in the log.
        """
        oldest, removed = time.time() - unused_for, 0
        for lock in self.directory.glob(_LOCKS):
            tree = lock.with_suffix("")
            is_superseded = superseded_by is not None and tree.parent == superseded_by.parent and tree != superseded_by
            try:
                with locked(lock, wait=False):
                    if is_superseded or lock.stat().st_mtime < oldest:
                        _remove(tree)
                        lock.unlink()
                        removed += 1
            except BlockingIOError:
                continue  # somebody uses it
            except OSError as error:
                log.warning("Unused model data cannot be removed", extra={"tree": str(tree), "reason": str(error)})
        return removed


def _part(tree: Path) -> Path:
    return tree.with_name(f".{tree.name}.part")


def _make(tree: Path, make: Callable[[Path], object]) -> None:
    part = _part(tree)
    part.mkdir(exist_ok=True)
    make(part)
    _seal(part)
    part.rename(tree)
    _sync(tree.parent)


def _remove(tree: Path) -> None:
    """By way of the other name: a tree that has its own is whole."""
    part = _part(tree)
    _clear(part)
    if tree.is_dir():
        tree.rename(part)
        _clear(part)


def _clear(part: Path) -> None:
    if part.is_dir():
        for folder, _, _ in os.walk(part):
            Path(folder).chmod(stat.S_IRWXU)
        shutil.rmtree(part)


def _seal(tree: Path) -> None:
    """For reading only, and on the disk."""
    for folder, _, files in os.walk(tree, topdown=False):
        for name in files:
            path = Path(folder, name)
            path.chmod(0o555 if _is_program(path) else 0o444)
        _sync(Path(folder))
        Path(folder).chmod(0o555)


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_PROGRAMS)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _say_if_held(lock: Path) -> None:
    """Why nothing happens for a while."""
    try:
        with locked(lock, wait=False, shared=True):
            return
    except BlockingIOError:
        log.info("Another worker of this host has the model's data in hand; waiting for it", extra={"lock": str(lock)})
