"""The services of a platform that is to be broken: what each process is started with."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from services.embedded.environment import Surroundings
from services.embedded.layout import Layout
from services.embedded.models import ModelDirectory, read_model_directory
from services.embedded.platform import HOST, ready_at
from services.embedded.ports import free_port
from services.embedded.readiness import http_ready
from services.embedded.service_process import Service
from tests.faults import records
from tests.faults.platform.objects import Objects
from tests.faults.platform.wires import WITH_DATABASE, Wires

CHECKOUT = Path(__file__).parents[3]
POINTS = Path(__file__).parents[1] / "points"
WORKERS = ("worker-1", "worker-2")
SERVICES = (*WITH_DATABASE, *WORKERS)
MARK = "LOSSLINE_FAULT_HOME"
"""In the environment of every process of such a platform, and of all that they start."""


@dataclass(frozen=True)
class Options:
    """Durations in seconds. The defaults are those of a test; a benchmark has those of the services."""

    slots: int = 2
    lease: float = 6.0
    reconcile_every: float = 1.0
    stop_grace: float = 2.0
    drain_for: float = 5.0


@dataclass(frozen=True)
class Launch:
    """Makes the services of one platform."""

    layout: Layout
    wires: Wires
    objects: Objects
    model: ModelDirectory
    options: Options
    api_port: int

    @cached_property
    def services(self) -> list[Service]:
        """All services. Workers are one group, which is stopped first."""
        return [self._with_database(name) for name in WITH_DATABASE] + [self._worker(name) for name in WORKERS]

    def id_file(self, name: str) -> Path:
        """Where a worker writes which incarnation it is."""
        return self.layout.run / f"{name}.id"

    def _with_database(self, name: str) -> Service:
        surroundings = self._surroundings(name, self.wires.database(name))
        if name == "api":
            environ = surroundings.of_api(HOST, self.api_port)
            return self._service(name, name, environ, self.api_port)
        port = free_port()
        variable = f"OASIS_{name.replace('-', '_').upper()}_HEALTH_PORT"
        return self._service(name, name, surroundings.with_database() | {variable: str(port)}, port)

    def _worker(self, name: str) -> Service:
        port, run = free_port(), self.layout.run / name
        run.mkdir(exist_ok=True)
        environ = self._surroundings(name, "").of_worker(self.model, self.options.slots, run, self.id_file(name))
        environ |= {
            "OASIS_WORKER_HEALTH_PORT": str(port),
            "OASIS_WORKER_STOP_GRACE": str(self.options.stop_grace),
            "OASIS_WORKER_DRAIN_FOR": str(self.options.drain_for),
            "LOSSLINE_STEPS": "tests.faults.steps",
            records.VARIABLE: str(self.layout.home / "records.jsonl"),
        }
        return self._service(name, "model-worker", environ, port)

    def _surroundings(self, name: str, database: str) -> Surroundings:
        return Surroundings(
            database=database,
            broker=self.wires.broker(name),
            objects=self.layout.objects,
            secret_key="a platform that tests break, on the loopback",
            kernel_cache=self.layout.cache,
            keep=_without_settings(os.environ) | dict(self.objects.environ(name)),
        )

    def _service(self, name: str, module: str, environ: dict[str, str], port: int) -> Service:
        url = f"http://{HOST}:{port}/healthcheck/"
        return Service(
            name=name,
            argv=(sys.executable, "-m", f"services.{module.replace('-', '_')}"),
            log=self.layout.logs / f"{name}.log",
            env=environ | self._for_tests(name),
            cwd=CHECKOUT,
            group="workers" if name in WORKERS else "",
            ready=http_ready(url) if name == "api" else ready_at(port),
            grace=10,
        )

    def _for_tests(self, name: str) -> dict[str, str]:
        return {
            MARK: str(self.layout.home),
            "PYTHONPATH": os.pathsep.join(map(str, (POINTS, CHECKOUT))),
            "LOSSLINE_FAULT_POINTS": str(self.layout.home / "points" / name),
            "OASIS_TASK_CONTROLLER_LEASE": str(self.options.lease),
            "OASIS_TASK_CONTROLLER_RECONCILE_EVERY": str(self.options.reconcile_every),
        }


def breakable_model(directory: Path) -> ModelDirectory:
    """A model directory that a worker can start with; the steps never read it."""
    (directory / "meta-data").mkdir(parents=True)
    identity = {"model_supplier_id": "Lossline", "model_name_id": "Breakable", "model_version_id": "1"}
    (directory / "oasislmf.json").write_text("{}", encoding="utf-8")
    settings = directory / "meta-data" / "model_settings.json"
    settings.write_text(json.dumps({**identity, "model_settings": {}, "lookup_settings": {}}), encoding="utf-8")
    return read_model_directory(directory)


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(("OASIS_", "LOSSLINE_"))}
