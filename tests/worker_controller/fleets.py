"""Every fleet, with what the tests need of it besides its port."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import psutil

from services.worker_controller.docker_fleet import FLEET, NAME, DockerFleet
from services.worker_controller.fleet import Fleet, Member
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.process_fleet import ProcessFleet
from services.worker_controller.swarm_fleet import SwarmFleet
from tests.compose.engine import PYTHON
from tests.worker_controller.waiting import eventually

WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('up', flush=True)
time.sleep(99)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
time.sleep(99)
"""


class Backend(Protocol):
    """A fleet that is open, and what is around it."""

    fleet: Fleet
    image: str | None

    def model(self, program: str, **environment: str) -> ModelEntry:
        """A model whose worker is a Python program."""

    def member(self, name: str) -> Member:
        """The member of that name, which must be there."""

    def log(self, name: str) -> str:
        """What a worker has written."""

    def kill_from_outside(self, name: str) -> None:
        """SIGKILL to a worker by somebody else."""

    def reopened(self) -> Fleet:
        """The same fleet for another controller, to be entered."""

    def clear(self) -> None:
        """Leave nothing running."""


class _Any:
    fleet: Fleet
    image: str | None = None

    def model(self, program: str, **environment: str) -> ModelEntry:
        python = "python3" if self.image else sys.executable
        return ModelEntry("S", "M", "1", image=self.image, command=(python, "-c", program), environment=environment)

    def member(self, name: str) -> Member:
        return {each.name: each for each in self.fleet.members()}[name]


class ProcessBackend(_Any):
    """Processes in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.fleet = self.reopened()

    def reopened(self) -> ProcessFleet:
        return ProcessFleet(self._folder / "fleet", self._folder / "logs", dict(os.environ))

    def log(self, name: str) -> str:
        path = self._folder / "logs" / f"worker-{self.member(name).queue}.log"
        return path.read_text() if path.exists() else ""

    def kill_from_outside(self, name: str) -> None:
        keeper = json.loads((self._folder / "fleet" / name / "keeper.json").read_text())["pid"]
        (worker,) = eventually(psutil.Process(keeper).children, "the worker is there")
        worker.kill()

    def clear(self) -> None:
        for member in self.fleet.members():
            self.fleet.kill(member.name)


class DockerBackend(_Any):
    """Containers of a namespace of the test's own."""

    image = PYTHON

    def __init__(self) -> None:
        self._namespace = uuid4().hex
        self.fleet = self.reopened()

    def reopened(self) -> DockerFleet:
        return DockerFleet(self._namespace, {})

    def log(self, name: str) -> str:
        return str(self._container(name).logs().decode())

    def kill_from_outside(self, name: str) -> None:
        self._container(name).kill()

    def clear(self) -> None:
        for member in self.fleet.members():
            self.fleet.forget(member.name)

    def _container(self, name: str) -> Any:
        assert isinstance(self.fleet, DockerFleet)
        (found,) = self.fleet._engine.containers.list(all=True, filters={"label": f"{NAME}={name}"})
        return found


class SwarmBackend(_Any):
    """Services of a namespace of the test's own, in a Swarm of which this machine is the only host that counts."""

    image = PYTHON

    def __init__(self) -> None:
        self._namespace = uuid4().hex
        self.fleet = self.reopened()

    def reopened(self) -> SwarmFleet:
        return SwarmFleet(self._namespace, {}, grace=1.0)

    def log(self, name: str) -> str:
        container = self._container(name)
        return "" if container is None else str(container.logs().decode())

    def kill_from_outside(self, name: str) -> None:
        eventually(lambda: self._container(name), "it has a container").kill()

    def clear(self) -> None:
        for member in self.fleet.members():
            self.fleet.forget(member.name)

    def _container(self, name: str) -> Any:
        """None where it has none yet, or no longer."""
        engine = self.engine
        labels = [f"{FLEET}={self._namespace}", f"{NAME}={name}"]
        (task,) = engine.api.tasks(filters={"label": labels}) or [{"Status": {}}]
        container = task["Status"].get("ContainerStatus", {}).get("ContainerID")
        return engine.containers.get(container) if container else None

    @property
    def engine(self) -> Any:
        """A client of the manager."""
        assert isinstance(self.fleet, SwarmFleet)
        return self.fleet._engine
