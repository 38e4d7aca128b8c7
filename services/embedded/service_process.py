"""One service of the process tree: what it is, and the process that it is at present."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.embedded.backoff import Backoff
from services.embedded.child import has_ended, reap, signal_group, start_child


@dataclass(frozen=True)
class Service:
    """A service process. Its environment is `env` and nothing else; `env` may hold secrets and is never shown."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    group: str = ""  # services of one group are stopped together
    ready: Callable[[], bool] | None = None  # None: ready once its process lives
    ready_within: float = 60.0  # seconds
    grace: float = 10.0  # seconds from SIGTERM to SIGKILL


@dataclass(frozen=True)
class Death:
    """A service died by itself. Of status and signal exactly one is set; `restart_in` and `lived` are seconds."""

    name: str
    pid: int
    exit_status: int | None
    signal: signal.Signals | None
    lived: float
    restart_in: float

    def __str__(self) -> str:
        how = self.signal.name if self.signal else f"exit status {self.exit_status}"
        return f"{self.name} (process {self.pid}) died with {how} after {self.lived:.1f} s"


class ServiceProcess:
    """The life of one service, without threads: all its methods belong to the tree's thread."""

    def __init__(self, service: Service, backoff: Backoff) -> None:
        self.service = service
        self._backoff = backoff
        self._delay: float | None = None
        self._due = 0.0
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while there is a process that has not been collected."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process now."""
        service = self.service
        self._process = start_child(service.argv, env=service.env, log=service.log, cwd=service.cwd)
        self._started = time.monotonic()

    def look(self) -> Death | None:
        """Collect a dead process and start one whose delay is over; the death, if there was one."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self.start()
            return None
        return self._collect(self._process) if has_ended(self._process) else None

    def postpone(self) -> None:
        """Try the restart again after the longest delay."""
        self._due = time.monotonic() + self._backoff.longest

    def ask_to_stop(self) -> None:
        """SIGTERM to the process alone: how its own children end is its affair."""
        if self._process is not None and not has_ended(self._process):
            self._process.send_signal(signal.SIGTERM)

    def has_stopped(self) -> bool:
        """Whether no process is left."""
        return self._process is None or has_ended(self._process)

    def finish(self) -> None:
        """SIGKILL to whatever is left of the process and its group, and collect it."""
        if self._process is not None:
            signal_group(self._process, signal.SIGKILL)
            reap(self._process)
            self._process = None

    def _collect(self, process: subprocess.Popen[bytes]) -> Death:
        status = reap(process)
        self._process = None
        lived = time.monotonic() - self._started
        self._delay = self._backoff.after_death(self._delay, lived)
        self._due = time.monotonic() + self._delay
        by = signal.Signals(-status) if status < 0 else None
        return Death(self.service.name, process.pid, None if by else status, by, lived, self._delay)
