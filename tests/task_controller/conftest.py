"""A database per test, and a world in which the task controller's handlers are told things."""

from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Engine

from services.task_controller.settings import Settings
from shared.topology import PLATFORM
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.world import World


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
