"""The whole platform with a worker controller and processes as workers, as `lossline up --scale` runs it."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from benchmarks.kernel_models import Case, coastwind
from benchmarks.platform_under_test import noop_model
from benchmarks.timed_steps import SECONDS_VARIABLE
from services.embedded.client import ApiClient
from services.embedded.commands import prepare_kernels
from services.embedded.demo import Portfolio, prepare
from services.embedded.layout import Layout
from services.embedded.models import read_model_directory
from services.embedded.platform import Fleet, Platform
from services.embedded.ports import free_port

QUICK = {
    "OASIS_WORKER_CONTROLLER_EVERY": "0.5",
    "OASIS_WORKER_CONTROLLER_IDLE_AFTER": "2",
    "OASIS_WORKER_CONTROLLER_SCALING_AGE": "0.5",
    "OASIS_WORKER_CONTROLLER_SHRINK_AFTER": "0.5",
}
"""With the pauses of a platform that is in use, workers would hardly change in the minutes of a benchmark."""

NOOP = ("Lossline", "Noop", "1")
_SLOTS = 2
_MOST = 4
_LOCATIONS = "PortNumber,AccNumber,LocNumber,BuildingTIV\n1,A,1,100\n"
_SETTINGS = {
    "model_supplier_id": "Lossline",
    "model_name_id": "Noop",
    "model_settings": {},
    "gul_output": True,
    "gul_summaries": [{"id": 1, "ord_output": {"elt_sample": True}}],
}


@dataclass(frozen=True)
class Tried:
    """An attempt: why it ended, None where it completed, and whether its step had been started."""

    cause: str | None
    began: bool


@dataclass(frozen=True)
class Bench:
    """One model of a platform, and what it is to compute."""

    client: ApiClient
    portfolio: Portfolio
    model: int
    queue: str

    def want(self, **scaling: object) -> None:
        """Change the scaling configuration of the model."""
        self.client.post(f"v2/models/{self.model}/scaling_configuration/", scaling)

    def prepare(self, chunks: int) -> int:
        """An analysis that is ready to run; its id."""
        return prepare(self.client, self.model, replace(self.portfolio, loss_chunks=chunks))

    def run(self, analysis: int) -> None:
        """Request its run."""
        self.client.post(f"v2/analyses/{analysis}/generate_and_run/")

    def serving(self) -> frozenset[str]:
        """Names of the workers that a fleet has started for the model, and that have not gone."""
        names = (str(each["fleet_name"]) for each in self.client.get("v2/workers/") if each["fleet_name"])
        return frozenset(name for name in names if name.startswith(f"{self.queue}-"))

    def counts(self, analysis: int) -> Mapping[str, int]:
        """Sub-tasks by state."""
        found: Mapping[str, int] = self.client.get(f"v2/analyses/{analysis}/")["status_count"]
        return found

    def ended(self, analysis: int) -> bool:
        """Whether its run has completed, its cleaning up too. Raises RuntimeError for another end."""
        found = self.client.get(f"v2/analyses/{analysis}/")
        if found["status"].endswith(("ERROR", "CANCELLED")):
            raise RuntimeError(f"analysis {analysis} has ended as {found['status']}")
        return bool(found["status"] == "RUN_COMPLETED" and not found["status_count"]["TOTAL_IN_QUEUE"])

    def attempts(self, analysis: int) -> list[list[Tried]]:
        """The attempts of each of its sub-tasks."""
        rows = self.client.get(f"v2/analyses/{analysis}/sub_task_list/")
        found = (self.client.get(f"v2/analysis-task-statuses/{row['id']}/attempts/") for row in rows)
        return [[Tried(each["cause"], began=each["started"] is not None) for each in of_one] for of_one in found]


@dataclass(frozen=True)
class ScaledPlatform:
    """A platform that runs, with the example model, or one whose chunks only take their time."""

    platform: Platform
    bench: Bench

    def decisions(self) -> list[int]:
        """The numbers of workers that the queue was to have, one after the other."""
        told = (each for each in self._log() if each["message"] == "A queue is to have workers")
        return [each["workers"] for each in told if each["queue"] == self.bench.queue]

    def starts(self) -> int:
        """How many controllers have said that they begin."""
        return sum(each["message"] == "Controlling" for each in self._log())

    def controllers(self) -> list[psutil.Process]:
        """The process of the worker controller; none while it is being started again."""
        return [each for each in psutil.Process().children(recursive=True) if _is_controller(each)]

    def _log(self) -> Iterator[Mapping[str, Any]]:
        """What the controllers have logged, whole lines of it."""
        text = (self.platform.layout.logs / "worker-controller.log").read_text(encoding="utf-8")
        for line in text.splitlines(keepends=True):
            if line.startswith("{") and line.endswith("}\n"):
                yield json.loads(line)


def _is_controller(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[1:3] == ["-m", "services.worker_controller"]
    except psutil.NoSuchProcess:
        return False


@contextmanager
def scaled_platform(case: Case, environ: Mapping[str, str], steps: Mapping[str, str]) -> Iterator[ScaledPlatform]:
    """Start it in a folder of its own, with these variables, and without any worker; leave nothing behind."""
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        with tempfile.TemporaryDirectory(prefix="lossline-scaling-") as folder:
            Path(folder).chmod(0o711)  # the database server's own account passes through it
            layout = Layout(Path(folder) / "home")
            fleet = Fleet(read_model_directory(case.model), _MOST, _SLOTS, environ=steps)
            cache = prepare_kernels(layout, Console(stderr=True))
            with Platform(layout, [fleet], free_port(), cache, said=lambda _: None, scale=True) as platform:
                yield ScaledPlatform(platform, bench_of(ApiClient(platform.url, platform.login), case))
    finally:
        os.environ.clear()
        os.environ.update(before)


def bench_of(client: ApiClient, case: Case) -> Bench:
    """The case on a platform that has its model; waits until a first worker has introduced it."""
    portfolio = Portfolio(case.exposure, case.settings, 1, 1, name="benchmark")
    model = client.wait_for_model(*case.identity, within=180)
    return Bench(client, portfolio, model, f"{'-'.join(case.identity)}-v2")


def example(folder: Path) -> Case:
    """The example model."""
    return coastwind(folder)


def timed(folder: Path) -> Case:
    """A model without a model, for `timed_steps`."""
    model = noop_model(folder / "model")
    (model.path / "location.csv").write_text(_LOCATIONS, encoding="utf-8")
    (model.path / "analysis_settings.json").write_text(json.dumps(_SETTINGS), encoding="utf-8")
    return Case("chunks that take their time", model.path, NOOP, {"location_file": model.path / "location.csv"})


def timed_by(seconds: float) -> dict[str, str]:
    """Variables of its workers."""
    return {"LOSSLINE_STEPS": "benchmarks.timed_steps", SECONDS_VARIABLE: str(seconds)}
