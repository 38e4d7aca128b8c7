"""A worker's processes without its messages: scripts and the steps of a v2 run, on so many slots, warm or plain."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.kernel_models import Case
from services.model_worker.processes import ChildSpec, ForkServer
from services.model_worker.processes.step_codec import encode_context, read_report
from services.model_worker.step_contract import InputFile, StepContext
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import CLIENTS_VARIABLE, LOAD
from services.model_worker.warm.programs import installed_names, scripts_directory

_STEPS = ("services.model_worker.steps.registry", "services.model_worker.processes.step_runner", __name__)


class StepFailed(Exception):
    """A step of the benchmark ended without its result; the folder holds its log."""


@dataclass
class Worker:
    """A fork server with a folder."""

    folder: Path
    environ: dict[str, str]
    forks: ForkServer
    slots: int
    _numbers: Any = field(default_factory=count)

    async def script(self, script: Path) -> float:
        """Run a script as a step does; seconds that the script took."""
        directory = self._directory()
        spec_path = directory / "spec.json"
        spec_path.write_text(json.dumps([str(script)]))
        await self._run(ChildSpec(spec_path, directory, self.environ, entry=f"{__name__}:run_script"))
        return float(spec_path.with_suffix(".seconds").read_text())

    async def starts(self, program: str, number: int) -> list[float]:
        """Seconds from the start of `program --help` to its end, again and again."""
        directory = self._directory()
        spec_path = directory / "spec.json"
        spec_path.write_text(json.dumps([program, number]))
        await self._run(ChildSpec(spec_path, directory, self.environ, entry=f"{__name__}:run_starts"))
        return list(json.loads(spec_path.with_suffix(".seconds").read_text()))

    async def losses(self, case: Case, inputs: Path, chunks: int) -> tuple[float, Path]:
        """The loss steps of a v2 run; seconds, and the archive of the output."""
        began = time.monotonic()
        files = case.files | {"input_file": InputFile(inputs, inputs.name)}
        context = StepContext("", "", 1, "benchmark", self.folder, case.place, chunks=chunks, files=files)
        for step in ("prepare-losses-generation-params", "prepare-losses-generation-directory"):
            context.files.update(await self._step(replace(context, step=step, slug=step)))
        free = asyncio.Semaphore(self.slots)
        name = "generate-losses-chunk"
        todo = (replace(context, step=name, slug=f"{name}-{n}", chunk=n) for n in range(chunks))
        done = await asyncio.gather(*(self._step(each, free) for each in todo))
        last = replace(context, step="generate-losses-output", slug="generate-losses-output", chunk_files=tuple(done))
        return -began + (await self._step(last), time.monotonic())[1], self._last / "output.tar.gz"

    async def _step(self, context: StepContext, free: asyncio.Semaphore | None = None) -> dict[str, InputFile]:
        async with free or asyncio.Semaphore():
            directory = self._last = self._directory()
            work = directory / "work"
            work.mkdir()
            spec_path = directory / "spec.json"
            spec_path.write_bytes(encode_context(replace(context, directory=work)))
            await self._run(ChildSpec(spec_path, directory, self.environ))
            report = read_report(spec_path)
            if report.error is not None:
                raise StepFailed(f"{directory}: {report.error.traceback}")
            self._last = work
            return {name: InputFile(path, path.name) for name, path in report.artifacts.items()}

    async def _run(self, spec: ChildSpec) -> None:
        child = await self.forks.start(spec)
        with (spec.directory / "output.txt").open("wb") as log:
            async for line in child.lines():
                log.write(line + b"\n")
        end = await child.wait()
        if end.exit_status != 0:
            raise StepFailed(f"{end}; its output is in {spec.directory}")

    def _directory(self) -> Path:
        directory = self.folder / f"attempt-{next(self._numbers)}"
        directory.mkdir()
        return directory


@asynccontextmanager
async def worker(folder: Path, *, warm: bool, slots: int) -> AsyncIterator[Worker]:
    """A worker in a folder of its own."""
    folder.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    if warm:
        environ[CLIENTS_VARIABLE] = str(install_clients(folder / "programs", installed_names(), scripts_directory()))
    preload = (LOAD, *_STEPS) if warm else _STEPS
    async with ForkServer(preload, base_directory=folder, environ=environ) as forks:
        await forks.ready()
        yield Worker(folder, environ, forks, slots)


def run_script(spec_path: Path) -> None:
    """The entry of `Worker.script`."""
    (script,) = json.loads(spec_path.read_text())
    began = time.monotonic()
    subprocess.run(["bash", script], cwd=Path(script).parent, check=True)
    spec_path.with_suffix(".seconds").write_text(str(time.monotonic() - began))


def run_starts(spec_path: Path) -> None:
    """The entry of `Worker.starts`."""
    program, number = json.loads(spec_path.read_text())
    took = []
    for _ in range(number):
        began = time.monotonic()
        subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.monotonic() - began)
    spec_path.with_suffix(".seconds").write_text(json.dumps(took))


def archive_of_inputs(run: Path, target: Path) -> Path:
    """The input files of a run directory as the archive that the loss steps are given."""
    subprocess.run(["tar", "-czf", str(target), "-C", str(run / "input"), "."], check=True)
    return target


def program_path() -> str:
    """PATH with this installation's programs before all others."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
