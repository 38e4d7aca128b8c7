"""One broker for all, a bench and a stand-in for the task controller, with a worker that is shared or one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.rabbitmq import PrivateBroker
from shared.broker.library_logs import silence_libraries
from tests.model_worker.bench import Bench, WorkerProcess
from tests.model_worker.controller import Controller, Ears
from tests.model_worker.waiting import wait_for


@pytest.fixture(scope="session")
def broker(rabbitmq: PrivateBroker) -> PrivateBroker:
    """A test that kills it starts it again."""
    silence_libraries()
    return rabbitmq


@pytest.fixture(scope="session")
def ears(broker: PrivateBroker) -> Iterator[Ears]:
    """Hears for all controllers."""
    with Ears(broker.url) as ears:
        yield ears


@pytest.fixture
def bench(tmp_path: Path, broker: PrivateBroker) -> Iterator[Bench]:
    """For tests that start workers of their own."""
    bench = Bench(tmp_path, broker.url)
    yield bench
    bench.stop()


@pytest.fixture
def controller(bench: Bench, ears: Ears) -> Iterator[Controller]:
    """The task controller of `bench`."""
    with Controller(ears, bench.queue) as controller:
        yield controller


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory, broker: PrivateBroker) -> Iterator[Bench]:
    """For tests that leave their worker as they found it."""
    bench = Bench(tmp_path_factory.mktemp("shared"), broker.url)
    yield bench
    bench.stop()


@pytest.fixture(scope="module")
def shared_controller(shared_bench: Bench, ears: Ears) -> Iterator[Controller]:
    """The task controller of `shared_bench`."""
    with Controller(ears, shared_bench.queue) as controller:
        yield controller


@pytest.fixture(scope="module")
def shared_worker(shared_bench: Bench, shared_controller: Controller) -> WorkerProcess:
    """A worker with two slots, up."""
    worker = shared_bench.start()
    wait_for(lambda: shared_controller.beats, "the first heartbeat")
    return worker


@pytest.fixture
def still(tmp_path: Path) -> Bench:
    """A bench without a broker: nothing here comes as far as connecting."""
    return Bench(tmp_path, "amqp://guest:guest@127.0.0.1:1/")
