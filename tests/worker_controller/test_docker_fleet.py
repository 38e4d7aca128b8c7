"""What only a fleet of containers does: it names what is missing, keeps to limits, and touches nobody else's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.worker_controller.docker_fleet import DockerFleet, gpu_requests, how_it_ended
from services.worker_controller.errors import FleetError
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.mounting import HostPath, split_volumes
from tests.compose.engine import docker as run_docker
from tests.fakes.tcp_proxy import TcpProxy
from tests.worker_controller.fleets import WAITS, DockerBackend
from tests.worker_controller.waiting import eventually

SAYS = """
import sys
sys.stdout.write("nothing to see")
sys.exit(open("/model/said").read())
"""
EATS_MEMORY = "held = [bytearray(8_000_000) for _ in range(100)]"


class EngineProxy(TcpProxy):
    """Before the socket of this machine's engine."""

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect("/var/run/docker.sock")
        return connection


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
def test_a_network_or_a_volume_that_cannot_be_used_leaves_nothing(docker: DockerBackend, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for wrong in (
        {"networks": ("there-is-no-such-network",)},
        {"volumes": ("relative/path:/x:nonsense",)},
        {"volumes": (f"{nowhere}:/model:ro",)},
    ):
        with pytest.raises(FleetError, match="the Docker Engine fails"):
            docker.fleet.start("one", replace(docker.model(WAITS), **wrong))  # type: ignore[arg-type]
    assert list(docker.fleet.members()) == []
    assert not nowhere.exists()


@pytest.mark.docker
def test_a_folder_of_the_host_and_a_volume_are_there_and_the_last_words_are_told(
    docker: DockerBackend, tmp_path: Path
) -> None:
    (tmp_path / "said").write_text("all is there")
    volumes = (f"{tmp_path}:/model:ro", "lossline-tests-cache:/cache")
    docker.fleet.start("one", replace(docker.model(SAYS), volumes=volumes))
    eventually(lambda: docker.member("one").ended is not None, "it has ended")
    end = docker.member("one").ended
    docker.fleet.forget("one")
    run_docker("volume", "rm", "lossline-tests-cache")
    assert end is not None
    assert end.reason == "exit status 1: all is there; see the log of the container"


@pytest.mark.docker
def test_an_engine_that_goes_away_and_comes_back_has_the_workers_that_it_had(
    engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker on an engine that is reached over a wire
    with EngineProxy("engine", 0) as wire:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{wire.host}:{wire.port}")
        backend = DockerBackend()
        with backend.fleet:
            backend.fleet.start("one", backend.model(WAITS))
            # When the wire is cut
            wire.refuse()
            for ask in (backend.fleet.members, lambda: backend.fleet.start("two", backend.model(WAITS))):
                with pytest.raises(FleetError, match="the Docker Engine fails"):
                    ask()
            # Then all is as before once it is whole again
            wire.forward()
            assert [each.name for each in backend.fleet.members()] == ["one"]
            assert backend.member("one").ended is None
            backend.fleet.start("two", backend.model(WAITS))
            backend.clear()
            assert list(backend.fleet.members()) == []


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


def test_the_last_line_of_a_worker_is_part_of_the_reason() -> None:
    state = {"Status": "exited", "ExitCode": 1}
    end = how_it_ended(state, '{"message": "Serving"}\nThe model storage has no data of this model.\n\n')
    assert end.reason == "exit status 1: The model storage has no data of this model.; see the log of the container"
    assert len(how_it_ended(state, "x" * 10_000).reason) < 500


def test_gpus_are_asked_for_by_number_or_all() -> None:
    assert gpu_requests(None) == []
    assert [(each["Count"], each["Capabilities"]) for each in gpu_requests(2)] == [(2, [["gpu"]])]
    assert [each["Count"] for each in gpu_requests("all")] == [-1]


def test_folders_of_the_host_are_told_from_volumes_of_the_engine() -> None:
    texts = ("/srv/PiWind:/model:ro", "/srv/out:/out", "models:/var/cache", "/srv/PiWind:/m:ro,z", "/alone")
    paths, others = split_volumes(texts)
    assert paths == [HostPath("/srv/PiWind", "/model", True), HostPath("/srv/out", "/out", False)]
    assert others == ["models:/var/cache", "/srv/PiWind:/m:ro,z", "/alone"]
