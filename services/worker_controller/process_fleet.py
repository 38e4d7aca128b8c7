"""A fleet of processes on this machine. Each has a folder of its own, by which a restarted controller finds it.

{state}/{name}/member.json   queue and start, written before the start
{state}/{name}/lock          locked for as long as its keeper lives
{state}/{name}/ended.json    how it ended, written by its keeper
{state}/{name}/last_words    why it cannot serve, written by itself
{state}/{name}/run           directories of its attempts
"""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.worker_controller.errors import FleetError
from services.worker_controller.fleet import Ended, Member, by_status
from services.worker_controller.models_file import ModelEntry

_KEEPER = Path(__file__).with_name("keeper.py")
_WORKER = (sys.executable, "-m", "services.model_worker")
_LAST_WORDS = "last_words"
_NOT_FOR_WORKERS = (
    "OASIS_API_",
    "OASIS_SERVER_",
    "OASIS_SERVICE_",
    "OASIS_WEBSOCKET_",
    "OASIS_WORKER_CONTROLLER_",
    "LOSSLINE_FLEET_",
)


@dataclass
class ProcessFleet:
    """`environ`: the controller's own; workers get it but for what is the controller's or the API's.

    `lifeline`: the id of a process without which no worker shall live, 0 for none: then they outlive the controller.
    """

    state: Path
    logs: Path
    environ: Mapping[str, str] = field(repr=False)
    lifeline: int = 0
    _children: set[int] = field(default_factory=set, init=False)

    def __enter__(self) -> Self:
        with _as_fleet_error():
            for folder in (self.state, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in self._folders():
                if not (folder / "member.json").exists():
                    shutil.rmtree(folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._reap()

    def members(self) -> Sequence[Member]:
        """Every folder is one."""
        self._reap()
        with _as_fleet_error():
            return [self._member(folder) for folder in self._folders()]

    def start(self, name: str, model: ModelEntry) -> None:
        """Start a keeper, which starts the worker."""
        folder = self.state / name
        environ = {key: value for key, value in self.environ.items() if not key.startswith(_NOT_FOR_WORKERS)}
        environ |= {"OASIS_BASE_RUN_DIR": str(folder / "run"), **model.variables(self.environ)}
        environ |= {"LOSSLINE_FLEET_NAME": name, "LOSSLINE_LAST_WORDS": str(folder / _LAST_WORDS)}
        with _as_fleet_error():
            folder.mkdir()
            try:
                self._keep(folder, model, environ)
            except OSError:
                shutil.rmtree(folder)
                raise

    def stop(self, name: str) -> None:
        """SIGTERM, through the keeper."""
        with _as_fleet_error():
            self._signal(name, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """SIGKILL to keeper and worker; the attempts' processes die with the worker."""
        with _as_fleet_error():
            self._signal(name, signal.SIGKILL)

    def forget(self, name: str) -> None:
        """Remove its folder."""
        with _as_fleet_error(), suppress(FileNotFoundError):
            shutil.rmtree(self.state / name)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.state.iterdir() if path.is_dir())

    def _member(self, folder: Path) -> Member:
        told = _read(folder / "member.json")
        age = max(0.0, time.time() - float(told["started"]))
        # Looked at before the end is read: whoever is gone has written it.
        alive = _is_locked(folder / "lock")
        if not alive and (folder / "ended.json").exists():
            end = _read(folder / "ended.json")
            ended = self._ended(folder, told["queue"], int(end["code"]))
            return Member(folder.name, told["queue"], float(end["lived"]), ended)
        gone = Ended(None, signal.SIGKILL, "its process was killed together with its keeper")
        return Member(folder.name, told["queue"], age, None if alive else gone)

    def _ended(self, folder: Path, queue: str, code: int) -> Ended:
        if code >= 0:
            path = folder / _LAST_WORDS
            words = path.read_text(encoding="utf-8") if path.exists() else ""
            return Ended(code, None, by_status(code, words, f"{self.logs}/worker-{queue}.log"))
        return Ended(None, -code, f"killed by {signal.Signals(-code).name}")

    def _keep(self, folder: Path, model: ModelEntry, environ: Mapping[str, str]) -> None:
        """Write down what is started, then start it with its lock."""
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(folder / "member.json", {"queue": model.queue, "started": time.time()})
            self._spawn(folder, lock, model.command or _WORKER, environ, self.logs / f"worker-{model.queue}.log")
        finally:
            os.close(lock)

    def _spawn(self, folder: Path, lock: int, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        os.set_inheritable(lock, True)
        keeper = [sys.executable, "-I", "-S", str(_KEEPER), str(folder), str(lock), str(self.lifeline), *command]
        appending = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), appending, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(sys.executable, keeper, dict(environ), file_actions=files, setsid=True)
        self._children.add(pid)
        try:
            _write(folder / "keeper.json", {"pid": pid})
        except OSError:  # a disk that is full: nobody could ever stop it
            os.killpg(pid, signal.SIGKILL)
            raise

    def _signal(self, name: str, number: signal.Signals) -> None:
        folder = self.state / name
        # The id is the keeper's as long as it holds its lock.
        if not (folder / "keeper.json").exists() or not _is_locked(folder / "lock"):
            return
        pid = int(_read(folder / "keeper.json")["pid"])
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)

    def _reap(self) -> None:
        for pid in list(self._children):
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                self._children.discard(pid)


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.rename(path)


@contextmanager
def _as_fleet_error() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise FleetError(f"the process fleet fails: {error}") from error
