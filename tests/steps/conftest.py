"""Runs steps as a fleet would: each in a process and a directory of its own, on workers that share no path."""

import itertools
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.model_worker.model_place import find_model_place
from services.model_worker.step_contract import InputFile, ModelPlace, StepContext

CHECKOUT = Path(__file__).parents[2]
PIWIND = CHECKOUT.parent / "shared" / "models" / "PiWind"
FILES = {
    "location_file": "exposure/SourceLocOEDPiWind10.csv",
    "accounts_file": "exposure/SourceAccOEDPiWind.csv",
    "reinsurance_info_file": "exposure/SourceReinsInfoOEDPiWind.csv",
    "reinsurance_scope_file": "exposure/SourceReinsScopeOEDPiWind.csv",
    "settings_file": "analysis_settings.json",
}

Artifacts = dict[str, InputFile]


@pytest.fixture(scope="session")
def piwind() -> Path:
    if not PIWIND.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"The example model PiWind must be at {PIWIND}.")
        pytest.skip(f"The example model PiWind is not at {PIWIND}.")
    return PIWIND


@pytest.fixture
def place_of() -> Callable[..., ModelPlace]:
    def place(directory: Path, **environ: str) -> ModelPlace:
        identity = {
            "OASIS_MODEL_SUPPLIER_ID": "OasisLMF",
            "OASIS_MODEL_ID": "PiWind",
            "OASIS_MODEL_VERSION_ID": "1",
            "OASIS_MODEL_DATA_DIRECTORY": str(directory),
        }
        return find_model_place(identity | environ)

    return place


@dataclass
class LocalRun:
    """One run. Artifacts move through a store under names of their own; an attempt's directory is gone when it ends."""

    root: Path
    places: list[ModelPlace]
    files: Artifacts
    data_files: tuple[InputFile, ...] = ()
    reporting_currency: str | None = None
    chunk_files: tuple[Artifacts, ...] = ()
    _attempts: Iterator[int] = field(default_factory=itertools.count)

    def inputs(self, chunks: int) -> None:
        self.serial("prepare-input-generation-params")
        self.serial("pre-analysis-hook")
        self.parallel("prepare-keys-file", chunks)
        self.serial("collect-keys")
        self.serial("write-input-files")

    def losses(self, chunks: int) -> None:
        self.serial("prepare-losses-generation-params")
        self.serial("prepare-losses-generation-directory")
        self.parallel("generate-losses-chunk", chunks)
        self.serial("generate-losses-output")

    def serial(self, step: str) -> Artifacts:
        artifacts = self.attempt(step)
        self.files |= artifacts
        return artifacts

    def parallel(self, step: str, chunks: int) -> None:
        self.chunk_files = tuple(self.attempt(step, chunk, chunks) for chunk in range(chunks))

    def attempt(self, step: str, chunk: int | None = None, chunks: int | None = None) -> Artifacts:
        number = next(self._attempts)
        directory = self.root / f"worker-{number % len(self.places)}" / f"attempt-{number}"
        directory.mkdir(parents=True)
        context = StepContext(
            step=step,
            slug=step if chunk is None else f"{step}-{chunk}",
            analysis_id=7,
            run_uuid="c0ffee",
            directory=directory,
            model=self.places[number % len(self.places)],
            chunk=chunk,
            chunks=chunks,
            files=dict(self.files),
            chunk_files=self.chunk_files,
            data_files=self.data_files,
            reporting_currency=self.reporting_currency,
            trees=directory.parent / "trees",
        )
        try:
            return self.store(run_in_child(context), number)
        finally:
            shutil.rmtree(directory)

    def store(self, artifacts: dict[str, Path], number: int) -> Artifacts:
        stored = {}
        for name, path in artifacts.items():
            target = self.root / "store" / f"{number}-{name}"
            target.parent.mkdir(exist_ok=True)
            stored[name] = InputFile(Path(shutil.copyfile(path, target)), path.name)
        return stored


def run_in_child(context: StepContext) -> dict[str, Path]:
    """Run a step in a fresh process forked from one that has imported oasislmf.

    It has a process group of its own: a failing kernel script kills the younger members of its group.
    """
    from services.model_worker.steps.registry import STEPS

    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["services.model_worker.steps.registry"])
    with ProcessPoolExecutor(1, mp_context=forking, initializer=os.setpgrp) as executor:
        return executor.submit(STEPS[context.step], context).result().artifacts


@pytest.fixture
def start_run(
    piwind: Path, tmp_path: Path, place_of: Callable[..., ModelPlace], kernel_programs_on_path: None
) -> Callable[..., LocalRun]:
    """Make a run of PiWind with ten locations on two workers that have the model at different places."""

    def start(*models: Path, **files: Path) -> LocalRun:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.symlink_to(piwind)
        places = [place_of(model) for model in models or (piwind, elsewhere)]
        chosen = {name: piwind / path for name, path in FILES.items()} | files
        return LocalRun(tmp_path, places, {name: InputFile(path, path.name) for name, path in chosen.items()})

    return start


@pytest.fixture(scope="session")
def kernel_programs_on_path() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture(scope="session")
def reference_output(
    piwind: Path, tmp_path_factory: pytest.TempPathFactory, kernel_programs_on_path: None
) -> Callable[[int], Path]:
    """The output directory of the undivided command on a number of processes; run once a session for each number."""
    done: dict[int, Path] = {}

    def output(processes: int) -> Path:
        if processes not in done:
            done[processes] = run_model(piwind, tmp_path_factory.mktemp("reference") / "run", processes) / "output"
        return done[processes]

    return output


def run_model(model: Path, run_dir: Path, processes: int) -> Path:
    flags = dict(zip("xyisa", FILES.values(), strict=True))
    command = ["oasislmf", "model", "run", "-C", "oasislmf.json", "--model-run-dir", str(run_dir)]
    command += [part for flag, path in flags.items() for part in (f"-{flag}", path)]
    command += ["--kernel-num-processes", str(processes)]
    done = subprocess.run(command, cwd=model, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return run_dir
