"""The private file by which other commands of this machine find the platform that `lossline up` runs."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.embedded.errors import EmbeddedError
from services.embedded.layout import Layout


@dataclass(frozen=True)
class Running:
    """A platform of this machine. `environ` holds what its services read: addresses, and the secrets that they need."""

    pid: int
    api: str
    environ: Mapping[str, str] = field(repr=False)


class NotRunning(EmbeddedError):
    """The platform that a file tells of has ended without removing it."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path, self.pid = path, pid
        super().__init__(
            f"The `lossline up` that wrote {path} (process {pid}) is not running any more; start `lossline up` again."
        )


class UnreadableRunningFile(EmbeddedError):
    """The file that tells of the running platform cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be read ({reason}); use the account that started `lossline up`.")


def running_file(layout: Layout) -> Path:
    """Where it lies."""
    return layout.home / "running.json"


@contextmanager
def announced(layout: Layout, api: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Tell of this process while inside. The file is the owner's alone, and locked for as long as the process lives."""
    path, new = running_file(layout), layout.home / f".running-{os.getpid()}.json"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        settings = {name: value for name, value in environ.items() if name.startswith("OASIS_")}
        text = json.dumps({"pid": os.getpid(), "api": api, "environ": settings}, indent=1)
        os.write(descriptor, text.encode())
        new.rename(path)
        yield
    finally:
        for each in (new, path):
            each.unlink(missing_ok=True)
        os.close(descriptor)


def find_running(layout: Layout) -> Running | None:
    """The platform that runs with these folders, or None. Raises NotRunning, UnreadableRunningFile."""
    path = running_file(layout)
    try:
        with path.open("rb") as file:
            running, alive = _parsed(path, file.read()), _is_locked(file.fileno())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableRunningFile(path, error.strerror or str(error)) from error
    if not alive:
        raise NotRunning(path, running.pid)
    return running


def _is_locked(descriptor: int) -> bool:
    """Whether whoever wrote the file lives: a process id alone may belong to somebody else by now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _parsed(path: Path, text: bytes) -> Running:
    try:
        told = json.loads(text)
        return Running(int(told["pid"]), str(told["api"]), dict(told["environ"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableRunningFile(path, f"it is not what `lossline up` writes: {error!r}") from error
