"""What loading must not leave in a process that will be forked, and is looked for."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from services.model_worker.processes import proc

TESTED_THREADS: frozenset[str] = frozenset()
"""Names of threads that are known to do no harm in a fork. None is."""

TESTED_FILES = frozenset({"proj.db"})
"""Files that libraries open at import and read without moving in them, in a plain start as well."""

FIRST_KEPT = 256
"""Libraries' files get descriptors from here on: below are those that callers have, by number, for their programs."""


@contextmanager
def low_descriptors_taken() -> Iterator[None]:
    """What is opened meanwhile gets a descriptor of `FIRST_KEPT` or more."""
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < FIRST_KEPT - 1:
        taken.append(os.dup(taken[0]))
    try:
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)


def kept_descriptors() -> frozenset[int]:
    """Of files that libraries keep open, and that a fork must find open as well."""
    return frozenset(each for each in proc.open_descriptors() if each >= FIRST_KEPT and _is_open(each))


@dataclass(frozen=True)
class Leftovers:
    """What a process has that its forks would share or miss."""

    threads: tuple[str, ...]
    """Beside the main one. A fork has the locks of all threads and the life of one."""
    files: frozenset[str]
    handlers: frozenset[str]
    """Log handlers that do something."""

    @classmethod
    def now(cls) -> "Leftovers":
        """Of this process."""
        others = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
        threads = {(task / "comm").read_text().strip() for task in others}
        return cls(
            tuple(sorted(threads - TESTED_THREADS)),
            frozenset(_files()),
            frozenset(_handlers()),
        )

    def since(self, before: "Leftovers") -> str | None:
        """What there is now and was not before, in words; None if nothing."""
        found = {
            "threads": sorted(self.threads),
            "files": sorted(self.files - before.files),
            "log handlers": sorted(self.handlers - before.handlers),
        }
        return "; ".join(f"{kind}: {each}" for kind, each in found.items() if each) or None


def forget_warnings() -> None:
    """Warnings that were shown once at import are shown again to each program, as after a plain start."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            vars(module).pop("__warningregistry__", None)


def _files() -> Iterator[str]:
    for descriptor in filter(_is_open, proc.open_descriptors()):
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        if target.name not in TESTED_FILES:
            yield f"{descriptor} ({target})"


def _is_open(descriptor: int) -> bool:
    """That of the listing is not any more."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _handlers() -> Iterator[str]:
    named = (each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger))
    for logger in (logging.root, *named):
        yield from (
            f"{handler!r} of {logger.name}"
            for handler in logger.handlers
            if not isinstance(handler, logging.NullHandler)
        )
