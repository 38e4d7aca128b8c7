"""A RabbitMQ for the tests, a virtual host per test, and clients of every kind."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from shared.broker.aio_client import AsyncBroker
from shared.broker.library_logs import silence_libraries
from shared.broker.pika_client import BlockingBroker
from tests.broker.drivers import AsyncDriver, BlockingDriver, Driver
from tests.broker.rabbit_node import RabbitNode, installed
from tests.fakes.broker import AsyncMemoryBroker, MemoryBroker, MemoryServer

Connect = Callable[[], Awaitable[Driver]]
VHOSTS_AT_A_TIME = 8


@pytest.fixture(scope="session")
def rabbit_node() -> Iterator[RabbitNode]:
    """A node of our own, which a test may kill if it starts it again."""
    if not installed():
        reason = "RabbitMQ is not installed (package rabbitmq-server)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    directory = Path(tempfile.mkdtemp(prefix="lossline-rabbit-"))
    node = RabbitNode(directory / "node")
    try:
        node.start()
        yield node
    finally:
        node.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def unused_vhosts(rabbit_node: RabbitNode) -> Iterator[str]:
    """Names of virtual hosts, made some at a time."""

    def made() -> Iterator[str]:
        while True:
            names = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(VHOSTS_AT_A_TIME)]
            rabbit_node.add_vhosts(names)
            yield from names

    return made()


@pytest.fixture
def vhost(unused_vhosts: Iterator[str]) -> str:
    """The name of the test's virtual host, which nobody has used."""
    return next(unused_vhosts)


@pytest.fixture
def private_url(rabbit_node: RabbitNode, vhost: str) -> str:
    """The virtual host on the node that can be killed."""
    return rabbit_node.url(vhost)


@pytest.fixture
def broker_url(request: pytest.FixtureRequest) -> str:
    """The broker that LOSSLINE_TEST_BROKER_URL names, or a new virtual host on our own."""
    existing = os.environ.get("LOSSLINE_TEST_BROKER_URL")
    return existing if existing else str(request.getfixturevalue("private_url"))


@pytest.fixture
def queue_name() -> str:
    """A name that nobody else uses, whichever broker this is."""
    return f"q-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["memory", "async-memory", "pika", "aio-pika"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Makes connected clients that see each other; closes them."""
    drivers: list[Driver] = []
    make = await _maker(request)

    async def connect() -> Driver:
        drivers.append(await make())
        return drivers[-1]

    yield connect
    for driver in drivers:
        await driver.close()


async def _maker(request: pytest.FixtureRequest) -> Connect:
    if "memory" in request.param:
        server = MemoryServer()

        async def memory() -> Driver:
            if request.param == "memory":
                return BlockingDriver(MemoryBroker(server))
            return AsyncDriver(AsyncMemoryBroker(server))

        return memory
    url = str(request.getfixturevalue("broker_url"))

    async def real() -> Driver:
        if request.param == "pika":
            return BlockingDriver(BlockingBroker(url, "suite").start())
        return AsyncDriver(await AsyncBroker(url, "suite").__aenter__())

    return real


@pytest.fixture(autouse=True, scope="session")
def quiet_libraries() -> None:
    """A failing test shows our log, not theirs."""
    silence_libraries()


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    """Every I/O thread and proxy thread that a test starts must have ended with it."""
    before = set(threading.enumerate())
    yield
    started = set(threading.enumerate()) - before
    left = [thread.name for thread in started if thread.name.startswith(("broker-io", "tcp-proxy"))]
    assert not left, f"threads left: {left}"
