"""The embedded platform, as `lossline up` starts it, and runs through its API with the clock at hand."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.kernel_models import Case
from services.embedded.client import ApiClient
from services.embedded.demo import bars_of, fetch_outputs
from services.embedded.layout import Layout
from services.embedded.models import read_model_directory
from services.embedded.platform import Fleet, Platform
from services.embedded.ports import free_port
from shared.core.plan import RunMode

_LOOK_EVERY = 0.05
_LOOK_SHARE = 0.01
"""Seconds, and of the time that has passed: looks cost the API what the run could use."""
_WITHIN = 1800.0
_WRONG = frozenset({"INPUTS_GENERATION_ERROR", "INPUTS_GENERATION_NO_KEYS", "RUN_ERROR", "RUN_CANCELLED"})


class RunFailed(Exception):
    """A run of the benchmark has not completed."""


@dataclass(frozen=True)
class Shape:
    """How a run is divided. Everything is one in v1."""

    run_mode: RunMode
    lookups: int = 1
    chunks: int = 1

    def __str__(self) -> str:
        """As tables have it."""
        return "v1" if self.run_mode == RunMode.V1 else f"v2, {self.chunks} chunk(s)"


@dataclass(frozen=True)
class Span:
    """An attempt. Seconds since the request of its run."""

    slug: str
    begins: float
    seconds: float


@dataclass(frozen=True)
class TimedRun:
    """Both phases of an analysis: seconds from the request until a client sees the end, and where they went."""

    inputs: float
    losses: float
    outputs: Path
    spans: list[Span] = field(default_factory=list)


@dataclass
class WholePlatform:
    """Running, with one model."""

    client: ApiClient
    case: Case
    folder: Path

    def run(self, shape: Shape) -> TimedRun:
        """Have the model's portfolio computed. Raises RunFailed."""
        analysis = self._analysis(shape)
        override = f"?run_mode_override={shape.run_mode}"
        inputs = self._seconds(analysis, f"generate_inputs/{override}", "READY")
        losses = self._seconds(analysis, f"run/{override}", "RUN_COMPLETED")
        outputs = fetch_outputs(self.client, analysis, self.folder / f"outputs-{analysis}")
        return TimedRun(inputs, losses, outputs, self._spans(analysis))

    def _analysis(self, shape: Shape) -> int:
        model_id = self.client.wait_for_model(*self.case.identity, within=120)
        portfolio = self.client.post("v2/portfolios/", {"name": self.case.name})["id"]
        for name, path in self.case.exposure.items():
            self.client.upload(f"v2/portfolios/{portfolio}/{name}/", path)
        body = {"name": str(shape), "portfolio": portfolio, "model": model_id}
        analysis = int(self.client.post("v2/analyses/", body)["id"])
        self.client.upload(f"v2/analyses/{analysis}/settings_file/", self.case.settings)
        chunking = {
            "lookup_strategy": "FIXED_CHUNKS",
            "loss_strategy": "FIXED_CHUNKS",
            "fixed_lookup_chunks": shape.lookups,
            "fixed_analysis_chunks": shape.chunks,
        }
        self.client.post(f"v2/analyses/{analysis}/chunking_configuration/", chunking)
        return analysis

    def _seconds(self, analysis: int, action: str, end: str) -> float:
        began = time.monotonic()
        status = self.client.post(f"v2/analyses/{analysis}/{action}")["status"]
        while status != end:
            if status in _WRONG or time.monotonic() - began > _WITHIN:
                raise RunFailed(f"{self.case.name}: {action} of analysis {analysis} is {status}")
            time.sleep(max(_LOOK_EVERY, _LOOK_SHARE * (time.monotonic() - began)))
            status = self.client.get(f"v2/analyses/{analysis}/")["status"]
        return time.monotonic() - began

    def _spans(self, analysis: int) -> list[Span]:
        runs: list[dict[str, Any]] = self.client.get(f"v2/analyses/{analysis}/runs/")
        return [
            Span(bar.slug, (bar.start - _requested(run)).total_seconds(), (bar.end - bar.start).total_seconds())
            for run in reversed(runs)
            for bar in sorted(bars_of(self.client, analysis, [run]), key=lambda bar: bar.start)
        ]


@contextmanager
def whole_platform(case: Case, slots: int) -> Iterator[WholePlatform]:
    """All services, a worker of v1 and one of v2 with so many slots, in a folder that is removed afterwards.

    Enter it in the main thread. The kernels are those of NUMBA_CACHE_DIR.
    """
    with tempfile.TemporaryDirectory(prefix="kernels-up-") as name:
        home = Path(name)
        home.chmod(0o711)  # the database server's own account passes through it
        model, cache = read_model_directory(case.model), Path(os.environ["NUMBA_CACHE_DIR"])
        fleets = [Fleet(model, run_mode=RunMode.V1), Fleet(model, slots=slots, run_mode=RunMode.V2)]
        with Platform(Layout(home), fleets, free_port(), cache, said=lambda _: None) as platform:
            yield WholePlatform(ApiClient(platform.url, platform.login), case, home)


def _requested(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["requested"])
