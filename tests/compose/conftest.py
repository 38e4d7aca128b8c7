"""One engine and one platform in containers for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
def undisturbed(stack: Stack, example: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a run in which nothing happened."""
    analysis = requested(stack.client, example, CHUNKS)
    assert ended(stack.client, analysis) == "RUN_COMPLETED", stack.logs()
    return fetch_outputs(stack.client, analysis, tmp_path_factory.mktemp("undisturbed"))
