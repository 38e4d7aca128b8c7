"""What the tests of the embedded default share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.embedded.rabbitmq_node import find_server
from tests.embedded.living import Command, eventually


@pytest.fixture
def command() -> Iterator[Callable[[str], Command]]:
    """Start such a program; it is killed at the end of the test."""
    started: list[Command] = []

    def start(body: str) -> Command:
        started.append(Command(body))
        started[-1].wait_until_up()
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(autouse=True, scope="module")
def _no_child_stays() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield

    def left() -> list[psutil.Process]:
        return [child for child in psutil.Process().children(recursive=True) if child.pid not in before]

    eventually(lambda: not left(), 5)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own account can reach; pytest's are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="ll-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def _rabbitmq() -> None:
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")
