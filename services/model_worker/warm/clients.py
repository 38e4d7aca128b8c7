"""The directory of clients that a worker puts before the programs of its installation."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_SOURCES = Path(__file__).parent
_COMPILERS = ("cc", "gcc", "clang")

log = logging.getLogger(__name__)


def install_clients(directory: Path, names: Iterable[str]) -> Path:
    """Make `directory`, with a client under each name: one in C, or in Python where there is no compiler."""
    directory.mkdir(parents=True)
    client = directory / ".client"  # beside its names: it knows by its own place what to pass over on PATH
    if not _compiled(client):
        _write_in_python(client)
    for name in names:
        (directory / name).symlink_to(client.name)
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
