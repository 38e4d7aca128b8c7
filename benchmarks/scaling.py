"""python -m benchmarks.scaling: a fleet that follows the work, on a platform that runs and has the example model.

    lossline up --scale                             # processes
    make up                                         # containers
    python -m benchmarks.scaling --api http://127.0.0.1:8000/

Measured are the time from the request of a run without any worker until its first sub-task is started, and what random
changes of the wanted number of workers do to the sub-tasks of runs: nothing, is the promise.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.kernel_models import Case, coastwind
from services.embedded.client import ApiClient
from services.embedded.demo import Portfolio, submit
from services.embedded.environment import Login

T = TypeVar("T")

_PATIENCE = 600.0
_BETWEEN = (0.5, 4.0)
"""Seconds between two changes of the wanted number."""


@dataclass(frozen=True)
class Scalings:
    """What changes of the wanted number did. `interrupted`: sub-tasks that took more than one attempt."""

    changes: int
    runs: int
    sub_tasks: int
    interrupted: int


@dataclass(frozen=True)
class Bench:
    """The platform, and what it is to compute."""

    client: ApiClient
    case: Case
    model: int

    def want(self, **scaling: object) -> None:
        """Change the scaling configuration of the model."""
        self.client.post(f"v2/models/{self.model}/scaling_configuration/", scaling)

    def request(self, chunks: int) -> int:
        """A run of the example's portfolio; the id of its analysis."""
        return submit(self.client, self.model, Portfolio(self.case.exposure, self.case.settings, 2, chunks))

    def serving(self) -> int:
        """Workers of fleets."""
        return sum(bool(each["fleet_name"]) for each in self.client.get("v2/workers/"))

    def ended(self, analysis: int) -> bool:
        """Whether its run has completed. Raises RuntimeError for another end."""
        status = self.client.get(f"v2/analyses/{analysis}/")["status"]
        if status.endswith(("ERROR", "CANCELLED")):
            raise RuntimeError(f"analysis {analysis} has ended as {status}")
        return bool(status == "RUN_COMPLETED")


def first_started(bench: Bench) -> float:
    """Seconds from the request of a run, with nobody there, to its first sub-task that is started."""
    bench.want(scaling_strategy="FIXED_WORKERS", worker_count_fixed=1, worker_count_min=0)
    _wait(lambda: bench.serving() == 0, "nobody serves")
    began = time.monotonic()
    analysis = bench.request(chunks=1)
    _wait(lambda: bench.client.get(f"v2/analyses/{analysis}/")["status_count"]["STARTED"], "a sub-task is started")
    took = time.monotonic() - began
    _wait(lambda: bench.ended(analysis), "the run is completed")
    return took


def random_scalings(bench: Bench, changes: int, most: int, chunks: int, seed: int) -> Scalings:
    """Change the wanted number again and again while runs follow each other."""
    chance, analyses = random.Random(seed), list[int]()
    for _ in range(changes):
        if not analyses or bench.ended(analyses[-1]):
            analyses.append(bench.request(chunks))
        bench.want(scaling_strategy="FIXED_WORKERS", worker_count_fixed=chance.randint(0, most), worker_count_min=0)
        time.sleep(chance.uniform(*_BETWEEN))
    bench.want(worker_count_fixed=most)
    _wait(lambda: bench.ended(analyses[-1]), "the last run is completed")
    attempts = [each for analysis in analyses for each in _attempts(bench.client, analysis)]
    return Scalings(changes, len(analyses), len(attempts), sum(each != 1 for each in attempts))


def _attempts(client: ApiClient, analysis: int) -> list[int]:
    """Of each sub-task."""
    rows = client.get(f"v2/analyses/{analysis}/sub_task_list/")
    return [len(client.get(f"v2/analysis-task-statuses/{row['id']}/attempts/")) for row in rows]


def _wait(look: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"it never came that {what}")
        time.sleep(0.05)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--api", default="http://127.0.0.1:8000/")
    parser.add_argument("--username", default=Login.username)
    parser.add_argument("--password", default=Login.password)
    parser.add_argument("--rounds", type=int, default=5, help="of the first start")
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=3, help="the most that are wanted at a time")
    parser.add_argument("--chunks", type=int, default=24, help="of each run during the changes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        client, case = ApiClient(given.api, Login(given.username, given.password)), coastwind(Path(folder))
        bench = Bench(client, case, client.wait_for_model(*case.identity, within=120))
        starts = [first_started(bench) for _ in range(given.rounds)]
        scalings = random_scalings(bench, given.changes, given.workers, given.chunks, given.seed)
    _show(starts, scalings)
    if given.out is not None:
        given.out.write_text(json.dumps({"first_started_s": starts, "scalings": asdict(scalings)}, indent=1) + "\n")
    return 0


def _show(starts: Sequence[float], scalings: Scalings) -> None:
    table = Table("what", "figure")
    table.add_row("from the request to the first sub-task, median s", f"{statistics.median(starts):.1f}")
    table.add_row("the slowest s", f"{max(starts):.1f}")
    table.add_row("changes of the wanted number", str(scalings.changes))
    table.add_row("sub-tasks meanwhile, of runs", f"{scalings.sub_tasks}, {scalings.runs}")
    table.add_row("of them interrupted", str(scalings.interrupted))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
