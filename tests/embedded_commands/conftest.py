"""A database a test, one RabbitMQ for all, and a home of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
from sqlalchemy import URL, Engine

from services.embedded.layout import Layout
from services.embedded.rabbitmq import PrivateBroker
from services.embedded.rabbitmq_node import find_server
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import BrokerPort
from shared.database.engine import open_engine
from shared.topology import PLATFORM
from tests.embedded_commands.rows import MODEL_QUEUE
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.fakes.database import DatabaseServer, database_server

QUEUES = (*(queue.name for queue in PLATFORM.queues), MODEL_QUEUE, "elsewhere")


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
    opened = open_engine(database, name="tests", pool_size=2)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def installed_rabbitmq() -> None:
    """Without it there is nothing to test."""
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")


@pytest.fixture(scope="session")
def rabbit(installed_rabbitmq: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """One RabbitMQ for all tests of this folder."""
    folder = tmp_path_factory.mktemp("rabbitmq")
    with PrivateBroker(folder / "node", folder / "broker.log") as started:
        yield started


@pytest.fixture
def rabbit_url(rabbit: PrivateBroker) -> str:
    """The broker, with none of the platform's queues on it."""
    with pika.BlockingConnection(pika.URLParameters(rabbit.url)) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            channel.queue_delete(queue)
    return rabbit.url


@pytest.fixture(params=["memory", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerPort]:
    """A connection with the platform's queues declared."""
    if request.param == "memory":
        with MemoryBroker(MemoryServer()) as connected:
            connected.declare(PLATFORM)
            yield connected
        return
    with BlockingBroker(request.getfixturevalue("rabbit_url"), "tests") as real:
        real.declare(PLATFORM)
        yield real


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """The folders of a platform of this machine."""
    return Layout(tmp_path / "home").create()


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, layout: Layout) -> pytest.MonkeyPatch:
    """An environment that names no platform; what is set in it lasts for the test."""
    for name in list(os.environ):
        if name.startswith(("OASIS_", "LOSSLINE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LOSSLINE_HOME", str(layout.home))
    return monkeypatch


def parked_left(broker: BrokerPort) -> int:
    """How many messages are parked now."""
    return broker.queue_depths([names.PARKED_QUEUE])[names.PARKED_QUEUE].messages
