"""Real processes: a fork server that keeps tiny programs warm, and shell scripts that run as steps."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.model_worker.processes import Child, ChildEnd, ChildSpec, ForkServer, sweep
from services.model_worker.warm import clients as clients_module
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import CLIENTS_VARIABLE

HERE = Path(__file__).parent
NAMES = ("tiny", "tiny-too")


@dataclass(frozen=True)
class Outcome:
    """What a script wrote, and how its step ended."""

    lines: list[str]
    end: ChildEnd


@dataclass
class Place:
    """A worker of tiny programs."""

    directory: Path
    environ: dict[str, str]
    server: ForkServer
    numbers: Any

    async def start(self, script: str, *, warm: bool = True, **environ: str) -> Child:
        """Start a script as an attempt."""
        directory = self.directory / f"attempt-{next(self.numbers)}"
        directory.mkdir()
        spec_path = directory / "spec.json"
        spec_path.write_text(json.dumps(script))
        variables = self.environ | environ
        if not warm:
            del variables[CLIENTS_VARIABLE]
        return await self.server.start(ChildSpec(spec_path, directory, variables, entry="tiny_entries:run_script"))

    async def run(self, script: str, *, warm: bool = True, **environ: str) -> Outcome:
        """Run a script to its end."""
        child = await self.start(script, warm=warm, **environ)
        lines = [line.decode() async for line in child.lines()]
        return Outcome(lines, await child.wait())


@pytest.fixture(scope="session")
def place_type() -> type[Place]:
    """For a worker of other programs."""
    return Place


@pytest.fixture(params=["C", "Python"])
def language(request: pytest.FixtureRequest) -> str:
    """Of the client: each test that uses it runs twice."""
    return str(request.param)


@pytest.fixture
async def place(tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """A fork server that has the tiny programs, and clients in both languages."""
    if language == "Python":
        monkeypatch.setattr(clients_module, "_COMPILERS", ())
    base, scripts = tmp_path / "worker", tmp_path / "scripts"
    base.mkdir()
    scripts.mkdir()
    for name in NAMES:
        (scripts / name).write_text(f"#!{sys.executable}\n{(HERE / 'tiny_program.py').read_text()}")
        (scripts / name).chmod(0o755)
    environ = {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}",
        "TINY_PROGRAMS": str(scripts),
        CLIENTS_VARIABLE: str(install_clients(base / "programs", NAMES)),
    }
    preload = ("tiny_entries", "tiny_programs:load")
    async with ForkServer(preload, base_directory=base, environ=environ) as server:
        yield Place(base, environ, server, count())
    sweep(base)


Eventually = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a condition: await eventually(lambda: …, within=2)."""

    async def wait(condition: Callable[[], Any], within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s"
            await asyncio.sleep(0.01)

    return wait
