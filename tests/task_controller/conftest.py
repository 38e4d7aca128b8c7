"""A database per test, and a world in which the task controller's handlers are told things."""

from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Engine

from services.task_controller.settings import Settings
from shared.database.engine import open_engine
from shared.topology import PLATFORM
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.fakes.database import DatabaseServer, database_server
from tests.task_controller.world import World


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseServer]:
    """One PostgreSQL for all tests of this folder."""
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


@pytest.fixture
def settings(database: URL) -> Settings:
    """Short durations: what is watched is watched in fractions of a second."""
    return Settings(
        database, broker="amqp://unused/", lease=0.6, reconcile_every=0.05, reaper_looks_every=0.05, batch=64
    )


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    """A user, a model and a portfolio; analyses are made by the tests."""
    return World(engine, settings)


@pytest.fixture
def rabbit() -> MemoryServer:
    """The broker, in memory."""
    return MemoryServer()


@pytest.fixture
def broker(rabbit: MemoryServer) -> Iterator[MemoryBroker]:
    """The task controller's connection, with the platform's queues declared."""
    with MemoryBroker(rabbit) as connected:
        connected.declare(PLATFORM)
        yield connected
