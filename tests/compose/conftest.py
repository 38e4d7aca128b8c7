"""One engine and one platform in containers for all tests of this folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from benchmarks.kernel_models import Case, coastwind
from services.embedded.demo import fetch_outputs
from tests.compose.engine import docker, docker_engine
from tests.compose.runs import CHUNKS, ended, requested
from tests.compose.stack import Stack, new_stack
from tests.compose.swarm import Host, second_host, swarm_manager
from tests.compose.swarm_stack import IMAGES, new_swarm_stack, remove_data, swarm_logs

HERE = Path(__file__).parent
LAST = ("test_with_tls.py", "test_swarm.py")
"""One takes the place of the platform without TLS. The other makes an engine leave a Swarm, which then forgets the
names of all containers that run, those of Compose too: these find each other no more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder after others, whose Swarm they would not survive."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if item.path.parent != HERE:
        return 0
    return 2 + LAST.index(item.path.name) if item.path.name in LAST else 1


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """An engine that answers."""
    with docker_engine():
        yield


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The example model with its portfolio, as the image of its workers has it."""
    return coastwind(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def built(engine: None, example: Case, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """All images, and nothing that runs."""
    return new_stack(tmp_path_factory.mktemp("checkout"), example.model)


@pytest.fixture(scope="session")
def stack(built: Stack) -> Iterator[Stack]:
    """What `make up` leaves running; afterwards `make down` leaves nothing but images."""
    made = built
    try:
        made.make("up")
        yield made
    except AssertionError:
        print(made.logs())  # noqa: T201 - shown with the failure
        raise
    finally:
        made.take_down()


@pytest.fixture(scope="session")
def side_by_side(stack: Stack, example: Case) -> tuple[int, int]:
    """The analyses of two runs at a time, of the model in its image and of the mounted one, which goes first."""
    client = stack.client
    baked = requested(client, example, CHUNKS)
    mounted = requested(client, replace(example, identity=("Lossline", "CoastWind", "2")), CHUNKS)
    url = f"{stack.url}v2/analyses/{mounted}/"
    requests.patch(url, json={"priority": 7}, auth=("admin", "password"), timeout=60).raise_for_status()
    assert [ended(client, analysis) for analysis in (baked, mounted)] == ["RUN_COMPLETED"] * 2, stack.logs()
    return baked, mounted


@pytest.fixture(scope="session")
def undisturbed(stack: Stack, side_by_side: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a run in which nothing happened."""
    return fetch_outputs(stack.client, side_by_side[0], tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def other_host(engine: None, built: Stack) -> Iterator[Host]:
    """A second host in a Swarm of two; it has the images of all that may run there."""
    version = built.environ["LOSSLINE_VERSION"]
    with (
        swarm_manager(),
        tempfile.TemporaryDirectory(prefix="lossline-second-", dir="/var/tmp") as folder,
        second_host(Path(folder)) as host,
    ):
        host.take_images([f"lossline-{part}:{version}" for part in IMAGES])
        yield host


@pytest.fixture(scope="module")
def many_hosts(other_host: Host, built: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make swarm-up` leaves running; afterwards `make swarm-down` leaves nothing but images and data."""
    made = new_swarm_stack(tmp_path_factory.mktemp("hosts"))
    try:
        made.make("swarm-up")
        yield made
    except AssertionError:
        print(swarm_logs())  # noqa: T201 - shown with the failure
        raise
    finally:
        made.make("swarm-down")
        remove_data()
        assert docker("service", "ls", "--quiet").stdout == ""
