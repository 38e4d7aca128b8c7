"""A Docker Engine for tests: the one that answers, else one that is installed and started for them where that can be.

Images come from a registry, where one answers; else stand-ins of the same names are built from packages of the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = CHECKOUT.parent / "shared" / "tools"
STAND_INS = CHECKOUT / "tests" / "compose" / "stand-ins"
OURS = frozenset({"haproxy", "prometheus"})
"""Kinds that the tools do not know."""
PYTHON = "python:3.11-slim-bookworm"
_PULL_WITHIN = 300
_BUILD_WITHIN = 900


@contextmanager
def docker_engine() -> Iterator[None]:
    """An engine that answers, while inside; one that was started for it is stopped. Else skip, or fail in CI."""
    if engine_answers():
        yield
        return
    state = kept_folder() or Path(tempfile.mkdtemp(prefix="lossline-engine-", dir="/var/tmp"))
    start_engine(state)
    try:
        yield
    finally:
        stop_engine(state)
        if state != kept_folder():
            shutil.rmtree(state, ignore_errors=True)


def kept_folder() -> Path | None:
    """Where an engine of the tests has its images and wheels, if somebody wants to find them there again."""
    named = os.environ.get("LOSSLINE_TEST_ENGINE")
    return Path(named) if named else None


def start_engine(state: Path) -> None:
    """Start one with this folder; `stop_engine` ends it. Else skip, or fail in CI."""
    if os.geteuid() != 0:
        not_here("no Docker Engine answers, and only root can start one")
    if not (TOOLS / "docker-up.sh").exists():
        not_here("no Docker Engine answers, and ../shared/tools has none to start; install one, and start it")
    done = subprocess.run([TOOLS / "docker-up.sh", state], check=False, timeout=_BUILD_WITHIN)
    if done.returncode != 0:
        not_here(f"no Docker Engine could be started with {state}; what it said is above")


def stop_engine(state: Path) -> None:
    """Stop the one that was started with this folder; nothing happens where none runs."""
    try:
        daemon = psutil.Process(int((state / "pid").read_text()))
    except (FileNotFoundError, psutil.NoSuchProcess):
        return
    daemon.terminate()
    daemon.wait(60)


def engine_answers() -> bool:
    """Whether the command is there, and somebody behind it."""
    return shutil.which("docker") is not None and docker("version", check=False).returncode == 0


def have_images(images: Mapping[str, str]) -> None:
    """Have images by their kind: what the tools build, or a target of `stand-ins`. Else skip, or fail in CI."""
    missing = {kind: name for kind, name in images.items() if not _is_there(name)}
    if missing and all(docker("pull", "--quiet", name, check=False).returncode == 0 for name in missing.values()):
        return
    missing = {kind: name for kind, name in missing.items() if not _is_there(name)}
    if missing and not (TOOLS / "images.sh").exists():
        not_here(f"there is no image {', '.join(missing.values())}, and no registry answers")
    if missing:
        _build_stand_ins(missing)


def _build_stand_ins(images: Mapping[str, str]) -> None:
    pairs = [f"{kind}={name}" for kind, name in images.items() if kind not in OURS]
    subprocess.run([TOOLS / "images.sh", f"python={PYTHON}", *pairs], check=True, timeout=_BUILD_WITHIN)
    for kind in OURS & images.keys():
        build = ("build", "--quiet", "--target", kind, "--build-arg", f"BASE={PYTHON}", "--tag", images[kind])
        docker(*build, str(STAND_INS), within=_BUILD_WITHIN)


def is_from_registry(image: str) -> bool:
    """Whether the image is there, and was not built here."""
    return _is_there(image) and not is_stand_in(image)


def is_stand_in(image: str) -> bool:
    """Whether the image was built here and comes from no registry."""
    return docker("image", "inspect", "--format", "{{len .RepoDigests}}", image).stdout.strip() == "0"


def docker(*arguments: str, check: bool = True, within: float = _PULL_WITHIN) -> subprocess.CompletedProcess[str]:
    """A command of the engine, with what it printed; one that fails fails the test, unless `check` is off."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, timeout=within)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


def _is_there(image: str) -> bool:
    return docker("image", "inspect", image, check=False).returncode == 0


def not_here(reason: str) -> None:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
