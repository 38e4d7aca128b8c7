"""Real processes in the tests of the embedded default, and the proof that none stays."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for a condition; fail when it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.02)


def processes_naming(text: str) -> list[psutil.Process]:
    """Every living process of this machine, ours or not, whose command line or environment names `text`."""
    return [process for process in psutil.process_iter() if text in _story(process)]


def _story(process: psutil.Process) -> str:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return " ".join([*process.cmdline(), *process.environ().values()])
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


class Command:
    """A Python program in a process of its own: it runs `body`, prints "up", and waits."""

    def __init__(self, body: str) -> None:
        text = textwrap.dedent(body) + "\nprint('up', flush=True)\nimport signal\nsignal.pause()\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_until_up(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        assert self.process.stdout.readline() == "up\n", self.process.stderr.read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def are_gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether none of them lives; a zombie that nobody has collected yet is dead."""
    return not any(map(_lives, processes))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
