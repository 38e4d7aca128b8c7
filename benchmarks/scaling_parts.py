"""What is measured of a fleet that follows the work: four parts, each a function of a platform that runs."""

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.scaled_platform import Bench, ScaledPlatform, Tried

T = TypeVar("T")

_PATIENCE = 240.0
_POLL = 0.05
_BETWEEN_CHANGES = (0.2, 2.0)
_BETWEEN_KILLS = (1.0, 3.0)
"""Seconds."""


@dataclass(frozen=True)
class Changes:
    """What changes of the wanted number did to sub-tasks.

    `interrupted`: an attempt had begun and was ended. `handed_back`: granted in the moment in which the worker was told
    to leave, and given to another before it began.
    """

    changes: int
    workers_started: int
    workers_left: int
    runs: int
    sub_tasks: int
    interrupted: int
    handed_back: int


@dataclass(frozen=True)
class Steady:
    """One run with nothing else: the numbers of workers that were wanted, one after the other."""

    chunks: int
    run_seconds: float
    wanted: Sequence[int]


@dataclass(frozen=True)
class Restarts:
    """Kills of the controller in one run. `lost` of the workers that were there, and `doubled`: started besides."""

    kills: int
    workers: int
    lost: int
    doubled: int
    sub_tasks: int
    interrupted: int


def first_started(bench: Bench) -> float:
    """Seconds from the request of a run, with nobody there, to its first sub-task that is started."""
    bench.want(scaling_strategy="FIXED_WORKERS", worker_count_fixed=1, worker_count_min=0)
    analysis = bench.prepare(chunks=1)
    wait(lambda: not bench.serving(), "nobody serves")
    began = time.monotonic()
    bench.run(analysis)
    wait(lambda: sum(bench.counts(analysis)[state] for state in ("STARTED", "COMPLETED")), "a sub-task is started")
    took = time.monotonic() - began
    wait(lambda: bench.ended(analysis), "the run is completed")
    return took


def random_changes(bench: Bench, changes: int, most: int, chunks: int, seed: int) -> Changes:
    """Change the wanted number again and again while runs follow each other."""
    chance, analyses = random.Random(seed), list[int]()
    seen: frozenset[str] = frozenset()
    for _ in range(changes):
        if not analyses or bench.ended(analyses[-1]):
            analyses.append(bench.prepare(chunks))
            bench.run(analyses[-1])
        bench.want(scaling_strategy="FIXED_WORKERS", worker_count_fixed=chance.randint(0, most), worker_count_min=0)
        until = time.monotonic() + chance.uniform(*_BETWEEN_CHANGES)
        while time.monotonic() < until:
            seen |= bench.serving()
            time.sleep(_POLL)
    bench.want(worker_count_fixed=most)
    wait(lambda: bench.ended(analyses[-1]), "the last run is completed")
    there = bench.serving()
    tried = [each for analysis in analyses for each in bench.attempts(analysis)]
    counts = len(seen | there), len(seen - there), len(analyses), len(tried)
    return Changes(changes, *counts, _interrupted(tried), _handed_back(tried))


def steady_run(scaled: ScaledPlatform, chunks: int, most: int) -> Steady:
    """One run whose workers follow its sub-tasks, from none to none."""
    bench = scaled.bench
    bench.want(scaling_strategy="DYNAMIC_TASKS", chunks_per_worker=10, worker_count_max=most, worker_count_min=0)
    analysis = bench.prepare(chunks)
    wait(lambda: not bench.serving() and scaled.decisions()[-1:] == [0], "nobody serves")
    before = len(scaled.decisions())
    began = time.monotonic()
    bench.run(analysis)
    wait(lambda: bench.ended(analysis), "the run is completed")
    took = time.monotonic() - began
    wait(lambda: not bench.serving(), "the workers have left")
    return Steady(chunks, took, scaled.decisions()[before:])


def controller_restarts(scaled: ScaledPlatform, kills: int, workers: int, chunks: int, seed: int) -> Restarts:
    """Kill the controller again and again while a run is under way."""
    bench, chance = scaled.bench, random.Random(seed)
    # Never fewer, so that whoever goes was lost.
    bench.want(scaling_strategy="FIXED_WORKERS", worker_count_fixed=workers, worker_count_min=workers)
    analysis = bench.prepare(chunks)
    wait(lambda: len(bench.serving()) == workers, "all workers serve")
    first = seen = bench.serving()
    bench.run(analysis)
    for _ in range(kills):
        _kill(scaled)
        until = time.monotonic() + chance.uniform(*_BETWEEN_KILLS)
        while time.monotonic() < until:
            seen |= bench.serving()
            time.sleep(_POLL)
    wait(lambda: bench.ended(analysis), "the run is completed")
    there, tried = bench.serving(), bench.attempts(analysis)
    bench.want(worker_count_min=0)
    lost, doubled = len(first - there), len((seen | there) - first)
    return Restarts(kills, workers, lost, doubled, len(tried), _interrupted(tried))


def _interrupted(sub_tasks: Sequence[Sequence[Tried]]) -> int:
    """How many had an attempt that began and did not complete; they are named on standard error."""
    found = [each for each in sub_tasks if any(tried.began and tried.cause is not None for tried in each)]
    for each in found:
        sys.stderr.write(f"a sub-task was interrupted: {each}\n")
    return len(found)


def _handed_back(sub_tasks: Sequence[Sequence[Tried]]) -> int:
    """How many attempts ended before they began."""
    return sum(not tried.began and tried.cause is not None for each in sub_tasks for tried in each)


def _kill(scaled: ScaledPlatform) -> None:
    """Kill it, and wait for the next one, which then compares for the first time."""
    (before,) = wait(scaled.controllers, "a controller is there")
    said = scaled.starts()
    before.kill()
    wait(lambda: scaled.starts() > said, "the next controller is there")


def wait(look: Callable[[], T], what: str) -> T:
    """The first true thing that `look` returns. Raises RuntimeError when none comes."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"it never came that {what}")
        time.sleep(_POLL)
    return found
