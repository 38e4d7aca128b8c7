"""A database a test, one RabbitMQ for all, and a home of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from benchmarks.places import url_of
from services.embedded.layout import Layout
from services.embedded.rabbitmq import PrivateBroker
from services.embedded.rabbitmq_node import find_server
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import BrokerPort
from shared.topology import PLATFORM
from tests.embedded_commands.rows import MODEL_QUEUE
from tests.fakes.broker import MemoryBroker, MemoryServer

QUEUES = (*(queue.name for queue in PLATFORM.queues), MODEL_QUEUE, "elsewhere")


@pytest.fixture(scope="session")
def installed_rabbitmq() -> None:
    """Without it there is nothing to test."""
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")


@pytest.fixture
def rabbit_url(rabbitmq: PrivateBroker) -> str:
    """The broker, with none of the platform's queues on it."""
    url = url_of(rabbitmq, "embedded_commands")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            channel.queue_delete(queue)
    return url


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
