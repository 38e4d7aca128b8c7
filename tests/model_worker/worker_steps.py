"""Steps for the tests, all of them the same: each obeys the orders in the settings file of its grant.

| order | what the step does |
|---|---|
| touch | makes this file, so that the test knows that it runs |
| say | prints these lines |
| show | writes what it was given to this file |
| deaf | ignores SIGTERM |
| program | starts a process of another group, which ignores SIGTERM, and writes its id to this file |
| ping | posts these reports to where kernels report progress |
| flood | prints this many MiB, in numbered lines of 100 bytes |
| close_output | closes its standard output and its standard error |
| exit | ends its process with this status, and writes no result |
| fail_at_length | raises with a message of so many characters |
| chatter | prints a line every tenth of a second until there is this file |
| report_until | reports progress twice a second until there is this file |
| spin | computes until there is this file |
| eat | takes this many MiB of memory |
| script | runs this shell script, and raises when it fails |
| feed | starts a program that takes this many MiB, and raises when that fails |
| wait_for | waits until there is this file |
| fail, no_keys | raises |
| fail_leaving | raises, and leaves these artifacts, by name: file name |
| kill | sends itself this signal |
| leave | writes these artifacts, by name: file name |
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from services.model_worker.needs import NEEDS
from services.model_worker.step_contract import InputFile, StepContext, StepResult
from services.model_worker.steps.errors import ModelFailedError, NoKeysError

_IGNORES_SIGTERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"


class ModelBroke(Exception):
    """What a model raises."""


def obey(context: StepContext) -> StepResult:
    """Carry out the orders, from first to last."""
    settings = context.files.get("settings_file")
    orders: dict[str, Any] = json.loads(settings.path.read_text()) if settings else {}
    artifacts: dict[str, Path] = {}
    for order, value in orders.items():
        if order == "leave":
            artifacts = _leave(context, value)
        else:
            ORDERS[order](context, value)
    return StepResult(artifacts)


def _leave(context: StepContext, names: Mapping[str, str]) -> dict[str, Path]:
    for filename in names.values():
        (context.directory / filename).write_text(f"{filename} of {context.slug}")
    return {name: context.directory / filename for name, filename in names.items()}


def _touch(_context: StepContext, path: str) -> None:
    Path(path).touch()


def _say(_context: StepContext, lines: list[str]) -> None:
    for line in lines:
        print(line)  # noqa: T201 - the output of a step is its log


def _show(context: StepContext, path: str) -> None:
    seen = {
        "files": {name: _seen(file) for name, file in context.files.items()},
        "chunk_files": [{name: _seen(file) for name, file in files.items()} for files in context.chunk_files],
        "data_files": [_seen(file) for file in context.data_files],
        "directory": str(context.directory),
        "chunk": [context.chunk, context.chunks],
        "flags": {"debug": context.debug, "keep_local_data": context.keep_local_data},
        "environ": dict(os.environ),
        "temporary": tempfile.mkdtemp(),
    }
    partial = Path(f"{path}.partial")
    partial.write_text(json.dumps(seen))
    partial.rename(path)


def _seen(file: InputFile) -> dict[str, Any]:
    status = file.path.stat()
    return {"filename": file.filename, "text": file.path.read_text(), "inode": status.st_ino, "links": status.st_nlink}


def _deaf(_context: StepContext, _value: bool) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _program(_context: StepContext, path: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", f"{_IGNORES_SIGTERM}; time.sleep(600)"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert program.stdout is not None
    program.stdout.readline()
    Path(f"{path}.partial").write_text(str(program.pid))
    Path(f"{path}.partial").rename(path)


def _ping(_context: StepContext, reports: list[dict[str, int]]) -> None:
    url = os.environ["OASIS_ANALYSIS_STATUS_URL"]
    for report in reports:
        with urllib.request.urlopen(url, json.dumps(report).encode(), timeout=10) as response:  # noqa: S310
            assert response.status == 200


def _flood(_context: StepContext, megabytes: int) -> None:
    for number in range(megabytes * 1024 * 1024 // 100):
        sys.stdout.write(f"{number:09d}{'x' * 90}\n")


def _close_output(_context: StepContext, _value: bool) -> None:
    for descriptor in (1, 2):
        os.close(descriptor)


def _exit(_context: StepContext, status: int) -> None:
    os._exit(status)


def _fail_at_length(_context: StepContext, length: int) -> None:
    raise ModelBroke("x" * length + " the end")


def _chatter(_context: StepContext, path: str) -> None:
    while not Path(path).exists():
        print("still at it")  # noqa: T201 - the output of a step is its log
        time.sleep(0.1)


def _report_until(context: StepContext, path: str) -> None:
    while not Path(path).exists():
        _ping(context, [{"events_complete": 1}])
        time.sleep(0.5)


def _spin(_context: StepContext, path: str) -> None:
    while not Path(path).exists():
        sum(range(10_000))


def _eat(_context: StepContext, megabytes: int) -> None:
    _EATEN.append(b"x" * (megabytes * 1024 * 1024))


def _feed(_context: StepContext, megabytes: int) -> None:
    subprocess.run([sys.executable, "-c", f"len(b'x' * ({megabytes} << 20))"], check=True)


def _script(_context: StepContext, script: str) -> None:
    subprocess.run(["bash", "-c", script], check=True)


def _wait_for(_context: StepContext, path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.02)


def _fail(_context: StepContext, message: str) -> None:
    raise ModelBroke(message)


def _fail_leaving(context: StepContext, names: Mapping[str, str]) -> None:
    raise ModelFailedError("half of it is done", _leave(context, names))


def _no_keys(_context: StepContext, _value: bool) -> None:
    raise NoKeysError


def _kill(_context: StepContext, number: int) -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), number)


_EATEN: list[bytes] = []

ORDERS: Mapping[str, Callable[[StepContext, Any], None]] = {
    "touch": _touch,
    "say": _say,
    "show": _show,
    "deaf": _deaf,
    "program": _program,
    "ping": _ping,
    "flood": _flood,
    "close_output": _close_output,
    "exit": _exit,
    "fail_at_length": _fail_at_length,
    "chatter": _chatter,
    "report_until": _report_until,
    "spin": _spin,
    "eat": _eat,
    "feed": _feed,
    "script": _script,
    "wait_for": _wait_for,
    "fail": _fail,
    "fail_leaving": _fail_leaving,
    "no_keys": _no_keys,
    "kill": _kill,
}

STEPS: Mapping[str, Callable[[StepContext], StepResult]] = dict.fromkeys(NEEDS, obey)
