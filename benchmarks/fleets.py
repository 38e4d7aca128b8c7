"""python -m benchmarks.fleets: one task controller and a large fleet, by the number of sub-tasks of a run.

See README.md beside this file.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, func, select

from benchmarks.gaps import gaps, stays_of
from benchmarks.places import Places, open_places
from benchmarks.platform_under_test import CONTROLLER, PlatformUnderTest, controller_alone
from benchmarks.resources import family, forget_peak, load, peak_mib, processor_seconds, resident_mib
from benchmarks.results import Quantiles
from benchmarks.simulated_workers import chunk_rate, simulated_workers
from shared.core.states import RunKind

QUEUE = "Lossline-Simulated-1-v2"
_WARM_UP = 100
_PATIENCE = 1800.0
_MIB = float(1 << 20)


@dataclass(frozen=True)
class Fleet:
    """One run of so many chunks, with a task controller and a database of its own. Memory and size in MiB."""

    chunks: int
    per_second: float
    """Chunks completed, from when the section was ready to its end."""
    at_most: float | None
    """What the fleet could do if nothing had to be handed out."""
    gap: Quantiles
    controller_ms: float
    """Processor time of the task controller for a chunk."""
    controller_before_mib: float
    controller_peak_mib: float
    database_before_mib: float
    database_after_mib: float

    @property
    def database_bytes(self) -> float:
        """What a chunk adds to the database."""
        return (self.database_after_mib - self.database_before_mib) * _MIB / self.chunks


@dataclass
class Results:
    """One run of the benchmark."""

    machine: str
    workers: int
    slots: int
    work_seconds: float
    load_before: float
    load_after: float = 0.0
    fleets: list[Fleet] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    cores = f"{len(os.sched_getaffinity(0))} cores"
    results = Results(cores, options.workers, options.slots, options.work, load())
    with open_places([_vhost(chunks) for chunks in options.sub_tasks]) as places:
        for chunks in options.sub_tasks:
            print(f"a run of {chunks} chunks", file=sys.stderr, flush=True)
            results.fleets.append(asyncio.run(_measure(places, options, chunks)))
    results.load_after = load()
    show(results, Console(width=120))
    if options.out:
        options.out.write_text(json.dumps(asdict(results), indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleets", description=__doc__)
    parser.add_argument("--sub-tasks", type=int, nargs="+", default=[10_000, 100_000], help="of each run")
    parser.add_argument("--workers", type=int, default=200, help="simulated workers")
    parser.add_argument("--slots", type=int, default=8, help="of each worker")
    parser.add_argument("--work", type=float, default=4.0, help="seconds that a sub-task sleeps")
    parser.add_argument("--out", type=Path, help="where to write the results as JSON")
    return parser


def _vhost(chunks: int) -> str:
    return f"fleet{chunks}"


async def _measure(places: Places, options: argparse.Namespace, chunks: int) -> Fleet:
    vhost = _vhost(chunks)
    with controller_alone(places, vhost, QUEUE) as ours:
        async with simulated_workers(places.broker(vhost), QUEUE, options.workers, options.work, options.slots):
            await _run(ours, _WARM_UP)
            pid = ours.pids[CONTROLLER]
            before, size = resident_mib(pid), database_mib(ours.engine)
            forget_peak(pid)
            spent = processor_seconds(family(pid))
            run_id = await _run(ours, chunks)
            spent = processor_seconds(family(pid)) - spent
        return Fleet(
            chunks=chunks,
            per_second=chunk_rate(ours.engine, run_id),
            at_most=at_most(chunks, options.workers * options.slots, options.work),
            gap=Quantiles.of(gaps(stays_of(ours.engine, run_id))),
            controller_ms=1000 * spent / chunks,
            controller_before_mib=before,
            controller_peak_mib=peak_mib(pid),
            database_before_mib=size,
            database_after_mib=database_mib(ours.engine),
        )


def at_most(chunks: int, slots: int, work: float) -> float | None:
    """Chunks a second if a slot began the next one the moment that it ends one. None where they take no time."""
    return chunks / (ceil(chunks / slots) * work) if work else None


async def _run(ours: PlatformUnderTest, chunks: int) -> int:
    run_id = await asyncio.to_thread(ours.request, chunks, RunKind.GENERATE_LOSSES)
    await asyncio.to_thread(ours.wait, run_id, _PATIENCE)
    return run_id


def database_mib(engine: Engine) -> float:
    """The size of the whole database."""
    with engine.connect() as connection:
        return float(connection.scalar(select(func.pg_database_size(func.current_database()))) or 0) / _MIB


def show(results: Results, console: Console) -> None:
    """Print the table."""
    fleet = f"{results.workers} workers of {results.slots} slots, sub-tasks of {results.work_seconds:g} s"
    table = Table(title=fleet, title_justify="left")
    columns = ("sub-tasks", "a second", "at most", "gap ms, median", "p90", "controller ms each", "its MiB, before")
    for column in (*columns, "peak", "database MiB", "bytes each"):
        table.add_column(column, justify="right")
    for each in results.fleets:
        table.add_row(
            f"{each.chunks:,}",
            f"{each.per_second:.0f}",
            f"{each.at_most:.0f}" if each.at_most else "",
            f"{each.gap.median_ms:.0f}",
            f"{each.gap.p90_ms:.0f}",
            f"{each.controller_ms:.1f}",
            f"{each.controller_before_mib:.0f}",
            f"{each.controller_peak_mib:.0f}",
            f"{each.database_after_mib:.0f}",
            f"{each.database_bytes:.0f}",
        )
    console.print(table)
    console.print(f"{results.machine}; load average {results.load_before:.1f} before, {results.load_after:.1f} after.")


if __name__ == "__main__":
    sys.exit(main())
