"""Loading the programs into the fork server: it becomes the warm process. `load` is what it calls before it serves."""

import importlib
import logging
import os
import sys
from collections.abc import ItemsView, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from services.model_worker.processes import proc
from services.model_worker.processes.errors import UnfitToFork
from services.model_worker.warm.environment import without_chosen
from services.model_worker.warm.exit_handlers import noting_registrations
from services.model_worker.warm.kernels import Kernels, notes_directory
from services.model_worker.warm.leftovers import Leftovers, forget_warnings, kept_descriptors
from services.model_worker.warm.programs import Program, installed_programs, scripts_directory
from services.model_worker.warm.warm_process import UNNAMED, WarmProcess, become, here

log = logging.getLogger(__name__)


def load() -> None:
    """Become the warm process of the programs that are installed.

    Raises UnfitToFork for what is left behind that a fork cannot have.
    """
    before = Leftovers.now()
    become_warm(scripts_directory(), installed_programs())
    warm, notes = here(), notes_directory(os.environ)
    if warm is not None and notes is not None:
        kernels = Kernels(notes)
        kernels.load()
        become(replace(warm, at_end=kernels.note))
    if left := Leftovers.now().since(before):
        raise UnfitToFork(left)


def become_warm(scripts: Path, installed: Iterable[Program]) -> None:
    """Import every program. One that cannot be imported is left to be started plain."""
    started_with = _started_with()
    with environment_reads() as read, noting_registrations() as handlers:
        programs = {program.name: program for program in installed if _imported(program)}
    logging.captureWarnings(False)
    forget_warnings()
    become(
        WarmProcess(
            programs=programs,
            scripts=scripts,
            started_with=without_chosen(started_with),
            coerced_locale=None if "LC_CTYPE" in started_with else os.environ.get("LC_CTYPE"),
            read_at_import=frozenset(read),
            module_path=tuple(sys.path[1:]),
            descriptors=kept_descriptors(),
            exit_handlers=tuple(handlers),
        )
    )


def _imported(program: Program) -> bool:
    ours, sys.argv = sys.argv, [UNNAMED]
    try:
        importlib.import_module(program.module)
    except Exception as error:  # noqa: BLE001 - whatever it is, the plain program will say it to its caller
        log.warning("A program cannot be kept warm", extra={"program": program.name, "error": repr(error)})
        return False
    finally:
        sys.argv = ours
    return True


def _started_with() -> dict[str, str]:
    """The environment of this process's execve: Python changes its own at its start."""
    pairs = (os.fsdecode(text).partition("=") for text in proc.initial_environment(os.getpid()))
    return {name: value for name, equals, value in pairs if equals}


@contextmanager
def environment_reads() -> Iterator[set[str]]:
    """Names of the variables that are looked at in `os.environ` meanwhile."""
    read: set[str] = set()
    plain = os.environ.__class__

    class Noting(plain):  # type: ignore[misc, valid-type]
        def __getitem__(self, name: str) -> str:
            read.add(name)
            return str(super().__getitem__(name))

        def __contains__(self, name: object) -> bool:
            read.add(str(name))
            return bool(super().__contains__(name))

        def items(self) -> ItemsView[str, str]:
            """To go through all of them is to read none in particular."""
            return {name: plain.__getitem__(self, name) for name in self}.items()

    os.environ.__class__ = Noting
    try:
        yield read
    finally:
        os.environ.__class__ = plain
