"""python -m benchmarks.orchestration: what orchestration costs, in ratios to Celery measured in the same run.

See README.md beside this file.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.celery_peer import CHILD_PER_TASK, CHILDREN_KEPT, CeleryPeer, celery_peer
from benchmarks.celery_peer import VHOST as CELERY_VHOST
from benchmarks.gaps import gaps, stays_of
from benchmarks.places import Places, open_places
from benchmarks.platform_under_test import CONTROLLER, VHOST, PlatformUnderTest, controller_alone, full_platform
from benchmarks.resources import family, load, processor_seconds, proportional_mib, resident_mib
from benchmarks.results import Memory, Orchestration, Quantiles, Results, Throughput
from benchmarks.simulated_workers import chunk_rate, simulated_workers
from shared.core.states import RunKind

SIMULATED_VHOST = "simulated"
SIMULATED_QUEUE = "Lossline-Simulated-1-v2"
PARTS = ("orchestration", "throughput", "memory")
_SLOW = 64
_FEW, _FEW_ROUNDS = 100, 5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(argv)
    # As Ctrl-C does: what was started is stopped, and the temporary folder removed.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    results = Results(machine=f"{len(os.sched_getaffinity(0))} cores", load_before=load())
    with open_places((VHOST, CELERY_VHOST, SIMULATED_VHOST)) as places:
        if {"orchestration", "memory"} & set(options.parts):
            _compare(places, options, results)
        if "orchestration" in options.parts and options.shipped:
            _add_shipped(places, options, results)
        if "throughput" in options.parts:
            _say(f"simulated workers: {_FEW_ROUNDS} runs of {_FEW} chunks, one of {options.many}")
            results.throughput = asyncio.run(_throughput(places, options.workers, options.many))
    results.load_after = load()
    report.show(results, Console(width=130))
    if options.out:
        options.out.write_text(report.as_json(results), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration", description=__doc__)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--chunks", type=int, nargs="+", default=[8, 64, 256], help="numbers of loss chunks")
    parser.add_argument("--rounds", type=int, default=3, help="of each number of chunks; the median counts")
    parser.add_argument("--slots", type=int, default=cores, help="concurrent sub-tasks on both sides")
    parser.add_argument("--no-shipped", dest="shipped", action="store_false", help="leave out Celery's child per task")
    parser.add_argument("--all", action="store_true", help=f"Celery's child per task above {_SLOW} chunks too: minutes")
    parser.add_argument("--workers", type=int, default=50, help="simulated workers")
    parser.add_argument("--many", type=int, default=10_000, help="chunks of the large simulated run")
    parser.add_argument("--out", type=Path, help="where to write the results as JSON")
    return parser


def _compare(places: Places, options: argparse.Namespace, results: Results) -> None:
    _say("starting Lossline")
    with full_platform(places, options.slots) as ours:
        ours.seconds(2)
        if "memory" in options.parts:
            results.memory = _memory(ours)
        if "orchestration" in options.parts:
            with celery_peer(places, options.slots, CHILDREN_KEPT) as theirs:
                theirs.seconds(2)
                results.orchestration = [_measure(ours, theirs, chunks, options.rounds) for chunks in options.chunks]


def _measure(ours: PlatformUnderTest, theirs: CeleryPeer, chunks: int, rounds: int) -> Orchestration:
    """In turns, so that what others do on the machine meets both."""
    lossline, celery, between = list[float](), list[float](), list[float]()
    families = {name: family(pid) for name, pid in ours.pids.items()}
    spent = dict.fromkeys(families, 0.0)
    for number in range(rounds):
        _say(f"{chunks} chunks, round {number + 1} of {rounds}")
        before = {name: processor_seconds(pids) for name, pids in families.items()}
        run_id, seconds = ours.seconds(chunks)
        for name, pids in families.items():
            spent[name] += processor_seconds(pids) - before[name]
        stays = stays_of(ours.engine, run_id)
        lossline.append(seconds)
        between += gaps(stays)
        celery.append(theirs.seconds(chunks))
    sub_tasks = rounds * len(stays)
    return Orchestration(
        chunks, lossline, celery, Quantiles.of(between), {name: 1000 * each / sub_tasks for name, each in spent.items()}
    )


def _add_shipped(places: Places, options: argparse.Namespace, results: Results) -> None:
    with celery_peer(places, options.slots, CHILD_PER_TASK) as shipped:
        for row, one in enumerate(results.orchestration):
            if one.chunks <= _SLOW or options.all:
                _say(f"{one.chunks} chunks, Celery with a child per task")
                seconds = shipped.seconds(one.chunks)
                results.orchestration[row] = replace(one, child_per_task=seconds)


def _memory(ours: PlatformUnderTest) -> Memory:
    return Memory({name: sum(map(proportional_mib, family(pid))) for name, pid in ours.pids.items()})


async def _throughput(places: Places, workers: int, many: int) -> Throughput:
    with controller_alone(places, SIMULATED_VHOST, SIMULATED_QUEUE) as ours:
        async with simulated_workers(places.broker(SIMULATED_VHOST), SIMULATED_QUEUE, workers):
            await _rate(ours, _FEW)
            before = resident_mib(ours.pids[CONTROLLER])
            few = [await _rate(ours, _FEW) for _ in range(_FEW_ROUNDS)]
            rate = await _rate(ours, many)
            after = resident_mib(ours.pids[CONTROLLER])
    return Throughput(workers, _FEW, few, many, rate, before, after)


async def _rate(ours: PlatformUnderTest, chunks: int) -> float:
    run_id = await asyncio.to_thread(ours.request, chunks, RunKind.GENERATE_LOSSES)
    await asyncio.to_thread(ours.wait, run_id)
    return chunk_rate(ours.engine, run_id)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
