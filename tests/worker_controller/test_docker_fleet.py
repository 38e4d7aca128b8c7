"""What only a fleet of containers does: it names what is missing, keeps to limits, and touches nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.worker_controller.docker_fleet import DockerFleet, how_it_ended
from services.worker_controller.errors import FleetError
from services.worker_controller.models_file import ModelEntry
from tests.worker_controller.fleets import WAITS, DockerBackend
from tests.worker_controller.waiting import eventually

EATS_MEMORY = "held = [bytearray(8_000_000) for _ in range(100)]"


@pytest.fixture
def docker(engine: None) -> Iterator[DockerBackend]:
    """An engine without workers of ours."""
    opened = DockerBackend()
    with opened.fleet:
        yield opened
        opened.clear()


@pytest.mark.docker
def test_an_image_that_is_not_there_is_named_and_leaves_nothing(docker: DockerBackend) -> None:
    with pytest.raises(FleetError, match=r"does not have the image: .*nobody/has-this:1.*pull or build it"):
        docker.fleet.start("one", ModelEntry("S", "M", "1", image="nobody/has-this:1"))
    with pytest.raises(FleetError, match="S-M-1-v2 has no image"):
        docker.fleet.start("one", ModelEntry("S", "M", "1"))
    assert list(docker.fleet.members()) == []


@pytest.mark.docker
def test_a_network_or_a_volume_that_cannot_be_used_leaves_nothing(docker: DockerBackend) -> None:
    for wrong in ({"networks": ("there-is-no-such-network",)}, {"volumes": ("relative/path:/x:nonsense",)}):
        with pytest.raises(FleetError, match="the Docker Engine fails"):
            docker.fleet.start("one", replace(docker.model(WAITS), **wrong))  # type: ignore[arg-type]
    assert list(docker.fleet.members()) == []


@pytest.mark.docker
def test_a_worker_that_reaches_its_memory_limit_ends_as_out_of_memory(docker: DockerBackend) -> None:
    docker.fleet.start("one", replace(docker.model(EATS_MEMORY), memory="64m", cpus=0.5))
    eventually(lambda: docker.member("one").ended is not None, "it has ended")
    end = docker.member("one").ended
    assert end is not None
    assert end.reason.startswith("out of memory")
    assert not end.in_order


@pytest.mark.docker
def test_workers_of_another_controller_are_no_members(docker: DockerBackend) -> None:
    docker.fleet.start("one", docker.model(WAITS))
    with DockerFleet("another", {}) as other:
        assert list(other.members()) == []
        other.forget("one")
    assert docker.member("one").ended is None


def test_an_engine_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(FleetError, match="the Docker Engine fails"):
        DockerFleet("default", {}).__enter__()


@pytest.mark.parametrize(
    ("state", "status", "signal", "says"),
    [
        ({"Status": "exited", "ExitCode": 0}, 0, None, "exit status 0"),
        ({"Status": "exited", "ExitCode": 2}, 2, None, "exit status 2"),
        ({"Status": "exited", "ExitCode": 137}, None, 9, "killed by signal 9"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, None, 9, "out of memory"),
        ({"Status": "exited", "ExitCode": 1, "OOMKilled": True}, 1, None, "out of memory"),
        ({"Status": "created", "ExitCode": 0, "Error": "no such file"}, 127, None, "never started: no such file"),
    ],
)
def test_how_a_container_ended_is_read_from_its_state(
    state: dict[str, Any], status: int | None, signal: int | None, says: str
) -> None:
    end = how_it_ended(state)
    assert (end.exit_status, end.signal) == (status, signal)
    assert says in end.reason
