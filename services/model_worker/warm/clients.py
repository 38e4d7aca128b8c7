"""The directory of clients that a worker puts before the programs of its installation."""

import logging
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_SOURCES = Path(__file__).parent
_COMPILERS = ("cc", "gcc", "clang")

MONITOR = "oasis_exec_monitor.sh"
"""The script of oasislmf that each run script starts beside its kernels, and kills when they are done."""

log = logging.getLogger(__name__)


def install_clients(directory: Path, names: Iterable[str], scripts: Path | None = None) -> Path:
    """Make `directory`, with a client under each name: one in C, or in Python where there is no compiler.

    With `scripts`, the installation's programs, also a monitor of run scripts that keeps nobody waiting.
    """
    directory.mkdir(parents=True)
    client = directory / ".client"  # beside its names: it knows by its own place what to pass over on PATH
    if not _compiled(client):
        _write_in_python(client)
    for name in names:
        (directory / name).symlink_to(client.name)
    if scripts is not None and (scripts / MONITOR).is_file():
        _write_monitor(directory / MONITOR, scripts / MONITOR)
    return directory


def _compiled(client: Path) -> bool:
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        log.info("There is no C compiler: the clients of warm programs are in Python, which costs 20 ms per program")
        return False
    command = [compiler, "-O2", "-o", str(client), str(_SOURCES / "client.c")]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        log.warning("The client of warm programs does not compile", extra={"command": command, "why": result.stderr})
    return result.returncode == 0


def _write_in_python(client: Path) -> None:
    source = (_SOURCES / "client.py").read_text(encoding="utf-8")
    client.write_text(f"#!{sys.executable} -IS\n{source}", encoding="utf-8")
    client.chmod(0o755)


def _write_monitor(place: Path, original: Path) -> None:
    """The same monitor, with its output among the errors of the run script.

    It sleeps for two seconds at a time, by a program that outlives it when it is killed and holds what it was given:
    with the script's output in its hands, each kernel run of oasislmf ends up to two seconds after its script.
    """
    place.write_text(f'#!/bin/sh\nexec {shlex.quote(str(original))} "$@" >&2\n', encoding="utf-8")
    place.chmod(0o755)
