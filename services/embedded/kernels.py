"""Compiled kernels: the first run on a machine compiles them, once, into a folder that is kept."""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from services.embedded.environment import with_programs
from services.embedded.errors import EmbeddedError

_ROOT = Path(__file__).resolve().parents[2]


class WarmupFailed(EmbeddedError):
    """The kernels of oasislmf could not be compiled."""


def kernel_cache(environ: Mapping[str, str], home: Path) -> Path:
    """`NUMBA_CACHE_DIR` where it is set, else a folder of ours."""
    return Path(environ.get("NUMBA_CACHE_DIR") or home / "cache" / "numba")


def compile_kernels(cache: Path, waiting: Callable[[float], None]) -> bool:
    """Compile what is not compiled yet; `waiting` is told every half second for how many seconds it has been going on.

    Returns whether there was anything to do. Raises WarmupFailed.
    """
    marker = cache / f"primed-{_installation()}"
    if marker.exists():
        return False
    began = time.monotonic()
    with _sole_compiler(cache, lambda: waiting(time.monotonic() - began)):
        if marker.exists():  # by another command, for which this one has waited
            return False
        _compile(cache, lambda: waiting(time.monotonic() - began))
        marker.touch()
    return True


@contextmanager
def _sole_compiler(cache: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Two that write numba's cache at a time do the work twice, and can spoil each other's index."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".compiling").open("wb") as lock:
        while not _taken(lock.fileno()):
            waiting()
            time.sleep(0.5)
        yield


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _compile(cache: Path, waiting: Callable[[], None]) -> None:
    log_path = cache / "warmup.log"
    with log_path.open("wb") as log, tempfile.TemporaryDirectory(prefix=".sample-", dir=cache) as folder:
        for command, directory in _commands(cache, Path(folder) / "sample"):
            status = _status(command, directory, _environ(cache), log.fileno(), waiting)
            if status != 0:
                what = " ".join(command[1:])
                raise WarmupFailed(f"`{what}` ended with status {status}; its output is in {log_path}.")


def _commands(cache: Path, sample: Path) -> Iterator[tuple[list[str], Path]]:
    """With their directories: what oasislmf knows to compile, in parallel, and then a run, which uses more than that.

    The run's programs also note what they have used, for the warm processes of workers.
    """
    python = sys.executable
    yield [str(Path(python).with_name("oasislmf")), "warmup"], cache  # it writes empty logs where it runs
    yield [python, "-m", "examples.coastwind.sample", str(sample)], _ROOT
    yield [python, "-m", "services.model_worker.priming", str(sample)], _ROOT


def _status(
    command: Sequence[str], directory: Path, environ: Mapping[str, str], output: int, waiting: Callable[[], None]
) -> int:
    """Run it to its end, and kill it if this ends before."""
    with subprocess.Popen(
        command, cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    ) as process:
        try:
            while not _ended(process):
                waiting()
        finally:
            process.kill()
    return process.wait()


def _environ(cache: Path) -> dict[str, str]:
    return dict(os.environ) | {"NUMBA_CACHE_DIR": str(cache), "PATH": with_programs(os.environ.get("PATH", ""))}


def _installation() -> str:
    """What numba's cache goes by: versions, and where the sources lie and when they were written."""
    spec = find_spec("oasislmf")
    sources = Path(spec.origin) if spec is not None and spec.origin else Path(sys.prefix)
    place = hashlib.sha256(f"{sources} {sources.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    return f"oasislmf-{version('oasislmf')}-numba-{version('numba')}-python-{sys.hexversion:x}-{place}"


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return False
    return True
