"""Fleets, a database a test, and one RabbitMQ for all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.worker_controller.fleet import Fleet
from services.worker_controller.process_fleet import ProcessFleet


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of a process fleet."""
    return tmp_path / "fleet"


@pytest.fixture
def fleet(state: Path, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet without members; those that the test leaves are killed."""
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
