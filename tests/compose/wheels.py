"""Wheels for builds that reach no package index, as compose/wheels/README.md says."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.compose.engine import PYTHON, is_from_registry, kept_folder

EXTRAS = "api,worker-monitor,worker-controller,model-worker,operations"
WANTED = ("setuptools>=77", f".[{EXTRAS}]")
_WITHIN = 600


def wheels_into(checkout: Path) -> None:
    """All that images need, into `compose/wheels` of a checkout. Nothing, where the base comes from a registry.

    Where the engine's folder is kept, they are kept there too.
    """
    if is_from_registry(PYTHON):
        return
    target = checkout / "compose" / "wheels"
    kept = kept_folder()
    if kept is None:
        _download(checkout, target)
        return
    ready = kept / "wheels" / _digest(checkout)
    if not ready.exists():
        unfinished = ready.with_name(f"{ready.name}.unfinished")
        _download(checkout, unfinished)
        unfinished.rename(ready)
    shutil.copytree(ready, target, dirs_exist_ok=True)


def _digest(checkout: Path) -> str:
    said = [(checkout / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"".join([*said, *(text.encode() for text in WANTED)])).hexdigest()[:16]


def _download(checkout: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", str(target)]
    command += ["--constraint", "constraints.txt", *WANTED]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, timeout=_WITHIN)
    assert done.returncode == 0, done.stderr
