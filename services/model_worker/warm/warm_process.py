"""What the warm process knows of itself once it has loaded the programs; its forks inherit it."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.model_worker.warm.environment import differing
from services.model_worker.warm.exit_handlers import Handler
from services.model_worker.warm.programs import Program
from services.model_worker.warm.request import Request

UNNAMED = "a-program-without-a-name"
"""sys.argv[0] while programs are imported: parsers made then take their name from it."""


def name_parsers(program: Program) -> None:
    """Give a program's parsers the name that they would have taken at a plain start."""
    for value in list(vars(sys.modules[program.module]).values()):
        if isinstance(value, ArgumentParser) and value.prog == UNNAMED:
            value.prog = program.name


@dataclass(frozen=True)
class WarmProcess:
    """Which calls can be served, and by what."""

    programs: Mapping[str, Program]
    scripts: Path
    """Where they are installed."""
    started_with: Mapping[str, str]
    """The environment of its execve, without what it was given beyond that of its programs."""
    coerced_locale: str | None
    """LC_CTYPE as Python has set it by itself at its start."""
    read_at_import: frozenset[str]
    module_path: tuple[str, ...]
    """sys.path without its first entry, which is each program's own directory."""
    descriptors: frozenset[int] = frozenset()
    """Of files that libraries keep open."""
    exit_handlers: tuple[Handler, ...] = ()
    """Of the modules that programs import."""
    at_end: Callable[[], None] = lambda: None
    """What a program does last."""

    def serves(self, request: Request) -> Program | None:
        """The program of a call; None if a plain start might be another program than a fork."""
        program = self.programs.get(request.program)
        caller = {os.fsdecode(name): os.fsdecode(value) for name, value in request.environ.items()}
        if program is None or not self.descriptors.isdisjoint(request.targets):
            return None
        if differing(caller, self.started_with, self.read_at_import):
            return None
        return program

    def set_by_python(self, request: Request) -> Mapping[str, str]:
        """The variable that a plain start would put into its own environment, if any (PEP 538)."""
        decided = {b"LC_ALL", b"LC_CTYPE"} & request.environ.keys()
        return {} if decided or self.coerced_locale is None else {"LC_CTYPE": self.coerced_locale}


_HERE: list[WarmProcess] = []


def become(warm: WarmProcess) -> None:
    """This process and its forks are `warm` from here on."""
    _HERE[:] = [warm]


def here() -> WarmProcess | None:
    """What this process, or the one it was forked from, has loaded."""
    return _HERE[0] if _HERE else None
