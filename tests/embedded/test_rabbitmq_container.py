"""The broker in a container, against a `docker` that keeps the books instead of running anything."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from services.embedded.errors import StartFailed
from services.embedded.rabbitmq_container import LABEL, ContainerNode, docker_answers
from services.embedded.rabbitmq_settings import Identity
from tests.embedded.living import eventually

# Books: $here/containers holds the running one; $here/calls each call.
DOCKER = """#!/bin/sh
here={folder}
echo "$*" >>"$here/calls"
case $1 in
version) [ ! -e "$here/down" ] ;;
run) [ ! -e "$here/refuses" ] || {{ echo "no such image" >&2; exit 125; }}; : >"$here/container" ;;
rm | stop | kill) rm -f "$here/container" ;;
inspect) [ -e "$here/container" ] && echo 4242 ;;
logs) echo "BOOT FAILED" ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docker").write_text(DOCKER.format(folder=tmp_path))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


@pytest.fixture
def node(docker: Path) -> ContainerNode:
    identity = Identity("lossline-0a1b", "lossline", "hunter2")
    return ContainerNode("rabbitmq:4", docker, docker / "log", 20_001, identity, "consumer_timeout = 1000")


def test_docker_that_does_not_answer_is_no_docker(docker: Path) -> None:
    assert docker_answers()
    (docker / "down").touch()
    assert not docker_answers()


def test_a_container_is_labelled_published_on_the_loopback_and_removed(docker: Path, node: ContainerNode) -> None:
    node.start([])
    assert node.pid == 4242
    assert node.failure() is None
    ran = next(call for call in (docker / "calls").read_text().splitlines() if call.startswith("run "))
    assert f"--label {LABEL}=lossline-0a1b" in ran
    assert "--publish 127.0.0.1:20001:5672" in ran
    assert ran.endswith(" rabbitmq:4")
    assert "hunter2" not in ran
    assert stat.S_IMODE((docker / "container.env").stat().st_mode) == 0o600
    node.stop()
    assert not (docker / "container").exists()


def test_a_killed_container_can_be_started_again(node: ContainerNode) -> None:
    node.start([])
    node.kill()
    assert node.pid is None
    node.start([])
    assert node.pid == 4242
    node.stop()


def test_a_container_that_ended_leaves_its_log(docker: Path, node: ContainerNode) -> None:
    node.start([])
    (docker / "container").unlink()
    assert node.failure() == "its container ended"
    assert "BOOT FAILED" in (docker / "log").read_text()
    node.stop()


def test_an_image_that_cannot_be_run_is_shown(docker: Path, node: ContainerNode) -> None:
    (docker / "refuses").touch()
    with pytest.raises(StartFailed, match="no such image"):
        node.start([])
    node.stop()


def test_the_guardian_removes_the_container_when_the_command_dies(docker: Path, node: ContainerNode) -> None:
    node.start([])
    guardian = node._guardian
    assert guardian is not None
    assert guardian.stdin is not None
    # When the pipe closes, as the kernel does for a process that was killed
    guardian.stdin.close()
    eventually(lambda: not (docker / "container").exists())
    guardian.wait(5)
    node._guardian = None
