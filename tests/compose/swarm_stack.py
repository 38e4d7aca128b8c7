"""Lossline as `make swarm-up` starts it on the hosts of a Swarm, from the images that `make images` has built."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from services.embedded.environment import Login
from tests.compose.engine import docker
from tests.compose.runs import eventually
from tests.compose.stack import MODELS, Stack, compose_files, copy_checkout, environment

PROJECT = "lossline-swarm-tests"
ON_EVERY_HOST = ("api", "websocket", "task_controller", "worker_monitor")
"""Services that keep nothing: as many of each as there are hosts."""
IMAGES = ("operations", "api", "websocket", "task-controller", "worker-monitor", "worker", "coastwind")
"""Of all that may run on a host that has no volumes, and is no manager."""
WORKERS = 3
"""More than fit the second host, on which the Swarm puts the first ones: nothing else is there."""
_OF_A_HOST = 0.4
"""How much of a host's processors a worker asks for."""


def new_swarm_stack(folder: Path) -> Stack:
    """A copy of the checkout in `folder`; nothing is started."""
    copy_checkout(folder)
    _write_models(folder)
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "admin_password").write_text("of the tests' own")
    environ = environment(folder) | {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "COMPOSE_FILES": compose_files(),
        "LOSSLINE_SECRETS": str(secrets),
        "LOSSLINE_REPLICAS": "2",
        "LOSSLINE_WORKERS": str(WORKERS),
    }
    manager = docker("info", "--format", "{{.Swarm.NodeID}}").stdout.strip()
    docker("node", "update", "--label-add", "lossline.data=yes", manager)
    return Stack(folder, environ, Login("admin", "of the tests' own"))


def swarm_logs() -> str:
    """The state and the last lines of everything, for a test that fails."""
    names = docker("service", "ls", "--format", "{{.Name}}").stdout.split()
    said = [docker("stack", "ps", "--no-trunc", PROJECT, check=False).stdout]
    return "\n".join([*said, *map(_last_lines, names)])


def _last_lines(service: str) -> str:
    """What is there at once: the engine waits for hosts that are lost."""
    try:
        return docker("service", "logs", "--tail", "40", service, check=False, within=10).stdout
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace")


def remove_data() -> None:
    """The volumes that the stack leaves behind, once its containers have gone."""

    def gone() -> bool:
        volumes = docker("volume", "ls", "--quiet", "--filter", f"name={PROJECT}_").stdout.split()
        return not volumes or docker("volume", "rm", *volumes, check=False).returncode == 0

    eventually(gone, "the volumes can be removed", 60)


def _write_models(folder: Path) -> None:
    content = yaml.safe_load((folder / "compose" / "models.yaml").read_text())
    (model,) = content["models"]
    processors = int(docker("info", "--format", "{{.NCPU}}").stdout)
    (folder / MODELS).write_text(yaml.safe_dump({"models": [{**model, "cpus": processors * _OF_A_HOST}]}))
