"""Killing processes that are found by their mark. Blocks for as long as they take to die; call it in a thread."""

import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from services.model_worker.processes.errors import SweepFailedError
from services.model_worker.processes.markers import ATTEMPT_VARIABLE, SWEEP_VARIABLE, worker_token
from services.model_worker.processes.proc import initial_environment, is_alive, process_ids

LOGGER = logging.getLogger(__name__)

_PATIENCE = 10.0
_PAUSE = 0.01


def sweep(base_directory: Path) -> list[int]:
    """Kill what an earlier worker of the same base directory left: its fork server, guardians, steps and their
    programs.

    A worker calls it at its start, before its own fork server. Two workers must therefore never share a base
    directory at a time: the caller holds a lock on it. Returns the ids of the killed. Raises SweepFailedError when
    some are still alive after 10 s.
    """
    killed = _kill_marked(SWEEP_VARIABLE, worker_token(base_directory))
    if killed:
        LOGGER.warning(
            "Killed processes of an earlier worker.", extra={"directory": str(base_directory), "pids": killed}
        )
    return killed


def sweep_attempt(attempt: str) -> list[int]:
    """Kill what is left of an attempt whose guardian was killed. Returns and raises like `sweep`."""
    return _kill_marked(ATTEMPT_VARIABLE, attempt)


def _kill_marked(variable: str, value: str) -> list[int]:
    """Again and again until none is found: a process may be forked while others are killed."""
    mark = f"{variable}={value}".encode()
    killed: set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    while marked := _marked(mark):
        if time.monotonic() > deadline:
            raise SweepFailedError(marked)
        for pid in marked:
            _kill(pid)
        killed.update(marked)
        time.sleep(_PAUSE)
    return sorted(killed)


def _marked(mark: bytes) -> list[int]:
    return [pid for pid in process_ids() if pid != os.getpid() and mark in initial_environment(pid) and is_alive(pid)]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
