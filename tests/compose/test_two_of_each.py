"""Two of each service side by side, and the first of each dies in the middle of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences
from services.embedded.client import ApiClient
from services.embedded.demo import fetch_outputs
from services.embedded.environment import Login
from services.embedded.ports import free_port
from tests.compose.engine import docker
from tests.compose.queue_status import told
from tests.compose.runs import CHUNKS, ended, eventually, requested, status_of
from tests.compose.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

SCALED = ("task_controller", "worker_monitor")
PUBLISHED = ("api", "websocket")
"""Compose cannot double what has a port of this machine; a second one has a port of its own."""
ONCE = ("internal_worker", "worker_controller")


@pytest.fixture(scope="module")
def second(stack: Stack) -> Iterator[dict[str, int]]:
    """The ports of a second API and a second websocket server, beside doubles of inner services; all go in the end."""
    ports = {service: free_port() for service in PUBLISHED}
    stack.compose("up", "--detach", "--no-recreate", *(text for name in SCALED for text in ("--scale", f"{name}=2")))
    inner = {"api": 8000, "websocket": 8001}
    containers = [
        stack.compose(
            "run", "--detach", "--no-deps", "--use-aliases", "--publish", f"127.0.0.1:{ports[name]}:{inner[name]}", name
        ).stdout.strip()
        for name in PUBLISHED
    ]
    yield ports
    docker("rm", "--force", "--volumes", *containers)
    stack.compose("up", "--detach", "--wait")


@pytest.fixture
def prometheus(stack: Stack) -> Iterator[str]:
    """Where the Prometheus of the profile answers."""
    profile = ("--profile", "prometheus")
    stack.compose(*profile, "up", "--detach", "--no-deps", "prometheus")
    address = f"http://127.0.0.1:{stack.environ['LOSSLINE_PROMETHEUS_PORT']}/"
    eventually(lambda: requests.get(f"{address}-/ready", timeout=10).ok, "Prometheus has started", 60)
    yield address
    stack.compose(*profile, "rm", "--stop", "--force", "--volumes", "prometheus")


def test_prometheus_hears_each_of_them_and_has_nothing_to_complain_of(
    stack: Stack, second: dict[str, int], prometheus: str
) -> None:
    def heard() -> Counter[str]:
        found = requests.get(f"{prometheus}api/v1/targets", timeout=10).json()["data"]["activeTargets"]
        return Counter(target["labels"]["job"] for target in found if target["health"] == "up")

    there = Counter({**dict.fromkeys(SCALED + PUBLISHED, 2), **dict.fromkeys(ONCE, 1)})
    eventually(lambda: heard() >= there, "each is heard", 60)
    assert heard() == there
    alerts = requests.get(f"{prometheus}api/v1/alerts", timeout=10).json()["data"]["alerts"]
    assert [alert["labels"] for alert in alerts if alert["state"] == "firing"] == []


def test_of_two_of_each_one_may_die_in_the_middle_of_a_run(
    stack: Stack, second: dict[str, int], example: Case, undisturbed: Path, tmp_path: Path
) -> None:
    other = ApiClient(f"http://127.0.0.1:{second['api']}/", Login())
    # Given a run that was requested of one API, and is seen by the other
    analysis = requested(stack.client, example, CHUNKS)
    eventually(lambda: status_of(other, analysis) == "RUN_STARTED", "it runs", 120)
    # When the first of each dies
    first = [stack.container(name) for name in PUBLISHED]
    docker("kill", *first, *(stack.containers(name)[0] for name in SCALED))
    # Then the others end it as if nothing had happened
    assert ended(other, analysis) == "RUN_COMPLETED", stack.logs()
    outputs = fetch_outputs(other, analysis, tmp_path)
    assert differences(outputs, undisturbed, exactly=False) == []
    # And who listens to the queues hears of them
    assert told(f"http://127.0.0.1:{second['api']}/", f"ws://127.0.0.1:{second['websocket']}")
    eventually(lambda: stack.is_healthy("worker_controller"), "it hears the queue status", 60)
