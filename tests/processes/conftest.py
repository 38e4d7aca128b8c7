"""Real processes: a fork server per test, entries of this folder, and a look at what is left."""

import asyncio
import gc
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.model_worker.processes import Child, ChildSpec, ForkServer, proc, sweep
from services.model_worker.processes.markers import SWEEP_VARIABLE, worker_token

HERE = Path(__file__).parent
ENTRIES = "process_entries"

MakeSpec = Callable[..., ChildSpec]
Eventually = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def environ() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """The worker's base directory; what a failed test left is swept."""
    path = tmp_path / "worker"
    path.mkdir()
    yield path
    sweep(path)


@pytest.fixture
def make_spec(base: Path, environ: dict[str, str]) -> MakeSpec:
    """A specification with a directory of its own: make_spec("entry", payload=…, nice=…)."""
    numbers = count()

    def make(entry: str, payload: Any = None, **options: Any) -> ChildSpec:
        directory = base / f"attempt-{next(numbers)}"
        directory.mkdir()
        spec_path = directory / "spec.json"
        spec_path.write_text(json.dumps(payload))
        return ChildSpec(spec_path, directory, dict(environ), entry=f"{ENTRIES}:{entry}", **options)

    return make


@pytest.fixture
async def server(base: Path, environ: dict[str, str], eventually: Eventually) -> AsyncIterator[ForkServer]:
    """A running fork server; afterwards neither processes nor descriptors may be left."""
    gc.collect()  # what other tests have left open would be closed in between
    before = len(proc.open_descriptors())
    async with ForkServer((ENTRIES,), base_directory=base, environ=environ) as running:
        await running.ready()
        yield running
    await eventually(lambda: left_of(base) == [], within=2)
    assert len(proc.open_descriptors()) == before


def left_of(base: Path) -> list[int]:
    mark = f"{SWEEP_VARIABLE}={worker_token(base)}".encode()
    return [pid for pid in proc.process_ids() if mark in proc.initial_environment(pid)]


@pytest.fixture
def left() -> Callable[[Path], list[int]]:
    """Ids of processes that bear the mark of a base directory."""
    return left_of


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a condition: await eventually(lambda: …, within=2)."""

    async def wait(condition: Callable[[], Any], within: float = 10.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s"
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def living() -> Callable[[Iterable[int]], list[int]]:
    """Which of these processes are alive."""
    return lambda pids: [pid for pid in pids if proc.is_alive(pid)]


@pytest.fixture
def read_output() -> Callable[[Child], Coroutine[Any, Any, list[bytes]]]:
    async def read(child: Child) -> list[bytes]:
        return [line async for line in child.lines()]

    return read
