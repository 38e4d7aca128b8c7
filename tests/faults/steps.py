"""Steps to break: small, deterministic, and as long as the settings of the analysis say.

`LOSSLINE_STEPS=tests.faults.steps` makes a worker execute them. The settings file holds `{"seconds": {step: s}}`.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.model_worker.step_contract import StepContext, StepResult
from tests.faults import records
from tests.faults.losses import digest_of_files, keys_of, losses_of_chunk, output_of, rows_of_chunk

_PAUSE = 0.02


def _bytes(context: StepContext, name: str) -> bytes:
    return context.files[name].path.read_bytes()


def _params(context: StepContext) -> dict[str, bytes]:
    return {"params": digest_of_files({name: file.path.read_bytes() for name, file in context.files.items()}).encode()}


def _hook(_context: StepContext) -> dict[str, bytes]:
    return {}


def _keys(context: StepContext) -> dict[str, bytes]:
    rows = rows_of_chunk(_bytes(context, "location_file"), context.chunk or 0, context.chunks or 1)
    return {"chunk_keys": keys_of(rows, _bytes(context, "params"))}


def _collect(context: StepContext) -> dict[str, bytes]:
    lines = b"".join(files["chunk_keys"].path.read_bytes() for files in context.chunk_files).splitlines(keepends=True)
    return {"keys_data": b"".join(sorted(lines))}


def _input_files(context: StepContext) -> dict[str, bytes]:
    return {"output_location": _bytes(context, "location_file") + _bytes(context, "keys_data")}


def _directory(context: StepContext) -> dict[str, bytes]:
    inputs = "input_file" if "input_file" in context.files else "output_location"
    return {"run_location": _bytes(context, "params") + _bytes(context, inputs)}


def _chunk(context: StepContext) -> dict[str, bytes]:
    losses = losses_of_chunk(_bytes(context, "run_location"), context.chunk or 0, context.chunks or 1)
    return {"chunk_work_location": losses}


def _output(context: StepContext) -> dict[str, bytes]:
    losses = output_of([files["chunk_work_location"].path.read_bytes() for files in context.chunk_files])
    return {"output_location": losses, "run_logs": f"{len(context.chunk_files)} chunks".encode()}


COMPUTE: Mapping[str, Callable[[StepContext], dict[str, bytes]]] = {
    "prepare-input-generation-params": _params,
    "pre-analysis-hook": _hook,
    "prepare-keys-file": _keys,
    "collect-keys": _collect,
    "write-input-files": _input_files,
    "prepare-losses-generation-params": _params,
    "prepare-losses-generation-directory": _directory,
    "generate-losses-chunk": _chunk,
    "generate-losses-output": _output,
}
"""What each step leaves, by artifact."""


def execute(context: StepContext) -> StepResult:
    """Take the time, compute, leave the files; both ends are recorded."""
    with _recorded(context), _kernel():
        deadline = time.monotonic() + _seconds(context)
        print(f"{context.slug} begins", flush=True)  # noqa: T201 - the output of a step is its log
        while time.monotonic() < deadline:
            time.sleep(_PAUSE)
        artifacts = COMPUTE[context.step](context)
    return StepResult({name: _left(context, name, content) for name, content in artifacts.items()})


@contextmanager
def _recorded(context: StepContext) -> Iterator[None]:
    path = Path(os.environ[records.VARIABLE])
    facts = (context.run_uuid, context.slug, context.directory.parent.name.removeprefix("attempt-"))
    records.append(path, records.BEGAN, *facts)
    yield
    records.append(path, records.ENDED, *facts)


@contextmanager
def _kernel() -> Iterator[None]:
    """A program of another group, as kernels are: what ends an attempt must find it too."""
    program = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    try:
        yield
    finally:
        program.kill()
        program.wait()


def _seconds(context: StepContext) -> float:
    settings = context.files.get("settings_file")
    told = json.loads(settings.path.read_text()).get("seconds", {}) if settings else {}
    return float(told.get(context.step, 0.0))


def _left(context: StepContext, name: str, content: bytes) -> Path:
    path = context.directory / f"{name}.txt"
    path.write_bytes(content)
    return path


STEPS: Mapping[str, Callable[[StepContext], StepResult]] = dict.fromkeys(COMPUTE, execute)
