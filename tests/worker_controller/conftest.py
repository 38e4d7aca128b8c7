"""Fleets, and a home for platforms."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.worker_controller.process_fleet import ProcessFleet
from tests.compose.engine import PYTHON, docker_engine, have_images
from tests.compose.swarm import swarm_manager
from tests.worker_controller.fleets import Backend, DockerBackend, ProcessBackend, SwarmBackend

BACKENDS = {"docker": DockerBackend, "swarm": SwarmBackend}
NEEDED = {"docker": "engine", "swarm": "swarm"}
CONTAINERS = [pytest.param(name, marks=pytest.mark.docker) for name in BACKENDS]


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """An engine that answers and has an image with Python."""
    with docker_engine():
        have_images({"python": PYTHON})
        yield


@pytest.fixture(scope="module")
def swarm(engine: None) -> Iterator[None]:
    """The same engine as the manager of a Swarm; not longer than needed, for other tests make a Swarm of two hosts."""
    with swarm_manager():
        yield


@pytest.fixture(params=["process", *CONTAINERS])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each fleet in turn, without members; those that the test leaves are ended."""
    opened: Backend
    if request.param == "process":
        opened = ProcessBackend(tmp_path)
    else:
        request.getfixturevalue(NEEDED[request.param])
        opened = BACKENDS[request.param]()
    with opened.fleet:
        yield opened
        opened.clear()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of a process fleet."""
    return tmp_path / "fleet"


@pytest.fixture
def fleet(state: Path, tmp_path: Path) -> Iterator[ProcessFleet]:
    """A fleet of processes without members; those that the test leaves are killed."""
    with ProcessFleet(state, tmp_path / "logs", dict(os.environ)) as opened:
        yield opened
        for member in opened.members():
            opened.kill(member.name)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that PostgreSQL's own account can reach; pytest's are closed to others."""
    with tempfile.TemporaryDirectory(prefix="ll-") as name:
        Path(name).chmod(0o711)
        yield Path(name)
