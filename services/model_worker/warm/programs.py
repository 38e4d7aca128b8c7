"""The programs of `oasislmf` as they are installed: what their entry points say, never a list of ours."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from types import CodeType

PACKAGE = "oasislmf"
NOT_SERVED = frozenset({PACKAGE})
"""The command itself is started plain: it lives for minutes, imports models, and steps call its functions instead."""


@dataclass(frozen=True)
class Program:
    """A Python program that an installer has written for an entry point."""

    name: str
    script: Path
    code: CodeType
    """Of the script."""
    module: str
    """What the script imports."""


def scripts_directory() -> Path:
    """Where this installation has its programs."""
    return Path(sys.executable).parent


def installed_names() -> tuple[str, ...]:
    """Names of the programs that could be served; empty where the package is not installed."""
    return tuple(sorted(point.name for point in _entry_points() if _is_ours(scripts_directory() / point.name)))


def installed_programs() -> Iterable[Program]:
    """The programs themselves, compiled but not imported."""
    for point in sorted(_entry_points(), key=lambda each: each.name):
        script = scripts_directory() / point.name
        if _is_ours(script):
            yield compiled(script, point.module)


def compiled(script: Path, module: str) -> Program:
    """The program of a script."""
    code = compile(script.read_bytes(), str(script), "exec", dont_inherit=True)
    return Program(script.name, script, code, module)


def _entry_points() -> Iterable[EntryPoint]:
    try:
        points = distribution(PACKAGE).entry_points.select(group="console_scripts")
    except PackageNotFoundError:
        return ()
    return [point for point in points if point.name not in NOT_SERVED]


def _is_ours(script: Path) -> bool:
    """Whether the file is a script of this interpreter, and so the very program that a fork of it can be."""
    try:
        with script.open("rb") as file:
            first = file.readline().removeprefix(b"#!").strip()
        return Path(first.decode()).samefile(sys.executable)
    except (OSError, ValueError):
        return False
