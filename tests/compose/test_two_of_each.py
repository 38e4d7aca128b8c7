"""Two of each service side by side, and the first of each dies in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences
from services.embedded.client import ApiClient
from services.embedded.demo import fetch_outputs
from services.embedded.environment import Login
from services.embedded.ports import free_port
from tests.compose.engine import docker
from tests.compose.runs import CHUNKS, ended, eventually, requested, status_of
from tests.compose.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

DOUBLED = ("task_controller", "worker_monitor")


@pytest.fixture
def second(stack: Stack) -> Iterator[ApiClient]:
    """A client of a second API, beside a second task controller and a second worker monitor; all go in the end."""
    port = free_port()
    stack.compose("up", "--detach", "--no-recreate", *(text for name in DOUBLED for text in ("--scale", f"{name}=2")))
    published = ("--publish", f"127.0.0.1:{port}:8000")
    container = stack.compose("run", "--detach", "--no-deps", *published, "api").stdout.strip()
    yield ApiClient(f"http://127.0.0.1:{port}/", Login())
    docker("rm", "--force", "--volumes", container)
    stack.compose("up", "--detach", "--wait")


def test_of_two_of_each_one_may_die_in_the_middle_of_a_run(
    stack: Stack, second: ApiClient, example: Case, undisturbed: Path, tmp_path: Path
) -> None:
    # Given a run that was requested of one API, and is seen by the other
    analysis = requested(stack.client, example, CHUNKS)
    eventually(lambda: status_of(second, analysis) == "RUN_STARTED", "it runs", 120)
    # When the first of each dies
    first = [stack.container("api"), *(stack.containers(name)[0] for name in DOUBLED)]
    docker("kill", *first)
    # Then the others end it as if nothing had happened
    assert ended(second, analysis) == "RUN_COMPLETED", stack.logs()
    outputs = fetch_outputs(second, analysis, tmp_path)
    assert differences(outputs, undisturbed, exactly=False) == []
