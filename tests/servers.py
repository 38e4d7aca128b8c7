"""Database server and broker of all tests of a process, in whatever folder: a plugin of pytest (see pyproject.toml)."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine

from benchmarks.places import broker_with
from services.embedded.rabbitmq import PrivateBroker
from services.embedded.rabbitmq_node import find_server
from shared.database.engine import open_engine
from tests.fakes.database import DatabaseServer, database_server

VHOSTS = ("embedded_commands", "worker_monitor")


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseServer]:
    """One PostgreSQL, started for the first test that wants it."""
    with database_server() as running:
        yield running


@pytest.fixture
def database(server: DatabaseServer) -> Iterator[URL]:
    """A database of the test's own."""
    with server.database() as url:
        yield url


@pytest.fixture
def engine(database: URL) -> Iterator[Engine]:
    """Connections to the test's database."""
    opened = open_engine(database, name="tests", pool_size=8)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[PrivateBroker]:
    """One RabbitMQ, started for the first test that wants it; a test that kills it starts it again.

    Its own virtual host is that of the model workers, others have those of their folders.
    """
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")
    with (
        tempfile.TemporaryDirectory(prefix="ll-") as name,
        broker_with(VHOSTS, Path(name, "node"), Path(name, "log")) as node,
    ):
        yield node
