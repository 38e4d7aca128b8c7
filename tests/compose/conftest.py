"""One engine and one platform in containers for all tests of this folder."""

from __future__ import annotations

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
def stack(engine: None, example: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make up` leaves running; afterwards `make down` leaves nothing but images."""
    made = new_stack(tmp_path_factory.mktemp("checkout"), example.model)
    try:
        made.make("up")
        yield made
    except AssertionError:
        print(made.logs())  # noqa: T201 - shown with the failure
        raise
    finally:
        made.make("down")
        made.compose("down", "--volumes", "--remove-orphans")
        assert docker("ps", "--all", "--quiet", "--filter", "label=lossline.fleet=lossline-tests").stdout == ""


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
