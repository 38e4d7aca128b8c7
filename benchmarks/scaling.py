"""python -m benchmarks.scaling: a fleet of processes that follows the work, on a platform of its own.

See README.md beside this file. Each part can be measured by itself (`--parts`): what a file of results has of others
stays. With `--api` the parts that need no more than clients have are measured on a platform that runs in containers,
with the example model, as `make up` leaves it.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.resources import load
from benchmarks.scaled_platform import QUICK, bench_of, example, scaled_platform, timed, timed_by
from benchmarks.scaling_parts import controller_restarts, first_started, random_changes, steady_run
from services.embedded.client import ApiClient
from services.embedded.environment import Login

FIRST_SECONDS, FIRST_SECONDS_IN_CONTAINERS, WANTED_CHANGES = 3.0, 8.0, 2
"""Goals."""

PARTS = ("first", "changes", "steady", "restarts")
OF_CLIENTS = ("first", "changes")
"""Parts that any platform can be measured by, from outside."""

IN_CONTAINERS = "_in_containers"
"""What the results of these parts end with where the platform ran in containers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    found: dict[str, Any] = {"machine": f"{len(os.sched_getaffinity(0))} cores", "load_before": load()}
    measured: dict[str, Any] = {}
    for part in PARTS:
        if part in given.parts:
            print(f"measuring: {part}", file=sys.stderr, flush=True)
            if given.api:
                measured[part + IN_CONTAINERS] = _on_running(part, given)
            else:
                measured[part] = _on_our_own(part, given)
    found |= measured | {"load_after": load()}
    if given.out is not None:
        before = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
        for part in ("changes", f"changes{IN_CONTAINERS}"):
            if given.add and part in before and part in measured:
                measured[part] = {key: before[part][key] + count for key, count in measured[part].items()}
        found = found | before | measured | {"load_after": found["load_after"]}
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    show(found, Console())
    return 0


def _on_our_own(part: str, given: argparse.Namespace) -> Any:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lossline-scaling-model-")))
        case = example(folder) if part == "first" else timed(folder)
        steps = {} if part == "first" else timed_by(given.seconds)
        # A steady run is paced as users have it.
        platform = stack.enter_context(scaled_platform(case, {} if part == "steady" else QUICK, steps))
        if part == "first":
            return [first_started(platform.bench) for _ in range(given.rounds)]
        if part == "changes":
            return asdict(random_changes(platform.bench, given.changes, given.workers, given.chunks, given.seed))
        if part == "steady":
            return asdict(steady_run(platform, given.chunks, given.workers))
        return asdict(controller_restarts(platform, given.kills, 2, given.chunks, given.seed))


def _on_running(part: str, given: argparse.Namespace) -> Any:
    if part not in OF_CLIENTS:
        raise SystemExit(f"with --api only {' and '.join(OF_CLIENTS)} can be measured")
    with tempfile.TemporaryDirectory() as folder:
        client = ApiClient(given.api, Login(given.username, given.password))
        bench = bench_of(client, example(Path(folder)))
        if part == "first":
            return [first_started(bench) for _ in range(given.rounds)]
        return asdict(random_changes(bench, given.changes, given.workers, given.chunks, given.seed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=5, help="of the first start")
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--add", action="store_true", help="changes to those of the file of results; with another seed")
    parser.add_argument("--kills", type=int, default=5, help="of the controller")
    parser.add_argument("--workers", type=int, default=3, help="the most that are wanted at a time")
    parser.add_argument("--chunks", type=int, default=200, help="of each run but those of the first start")
    parser.add_argument("--seconds", type=float, default=0.5, help="that a chunk takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--api", help="a platform in containers that has the example model")
    parser.add_argument("--username", default=Login.username)
    parser.add_argument("--password", default=Login.password)
    parser.add_argument("--out", type=Path)
    return parser


def rows(found: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """What was measured, the figure, and the goal."""
    told = _rows_of_clients(found, "", FIRST_SECONDS)
    told += _rows_of_clients(found, IN_CONTAINERS, FIRST_SECONDS_IN_CONTAINERS)
    if steady := found.get("steady"):
        what = (
            f"a steady run of {steady['chunks']} chunks in {steady['run_seconds']:.0f} s: changes of the wanted number"
        )
        told.append((what, len(steady["wanted"]), f"≤ {WANTED_CHANGES}"))
    if restarts := found.get("restarts"):
        what = f"controller killed {restarts['kills']} times in a run"
        told.append((f"{what}: workers lost, of {restarts['workers']}", restarts["lost"], "0"))
        told.append((f"{what}: workers doubled", restarts["doubled"], "0"))
        told.append((f"{what}: sub-tasks interrupted, of {restarts['sub_tasks']:,}", restarts["interrupted"], "0"))
    return told


def _rows_of_clients(found: Mapping[str, Any], ending: str, goal: float) -> list[tuple[str, Any, str]]:
    told: list[tuple[str, Any, str]] = []
    where = ending.replace("_", " ")
    if starts := found.get(f"first{ending}"):
        what = f"request to first sub-task without a worker{where}, s"
        told += [
            (f"{what}, median", statistics.median(starts), f"≤ {goal:g}"),
            ("the slowest of them", max(starts), ""),
        ]
    if changes := found.get(f"changes{ending}"):
        what = f"{changes['changes']} changes of the wanted number{where}, {changes['workers_started']} workers started"
        told.append((f"{what}: sub-tasks interrupted, of {changes['sub_tasks']:,}", changes["interrupted"], "0"))
        told.append(("the same: sub-tasks handed back before they began", changes["handed_back"], ""))
    return told


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print all of it."""
    table = Table("measured", "figure", "goal")
    for what, figure, goal in rows(found):
        table.add_row(what, f"{figure:.2f}" if isinstance(figure, float) else str(figure), goal)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
