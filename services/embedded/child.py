"""Child processes that never outlive their parent, and the end of one.

The thread that calls `start_child` must live as long as the child: Linux sends the death signal when that
thread ends, not when the process does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_WRAPPER = Path(__file__).with_name("die_with_parent.py")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Account:
    """The system account that a child runs as."""

    name: str
    uid: int
    gid: int


def start_child(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, its output appended to `log`.

    A session of its own keeps the terminal's Ctrl-C from it (the order of shutdown is ours), and makes its
    process id the id of the group of all that it starts in turn.
    """
    owner = (str(account.uid), str(account.gid)) if account else ("-", "-")
    wrapped = [sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid()), str(int(death_signal)), *owner, *argv]
    with _appending(log) as output:
        return subprocess.Popen(
            wrapped,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )


@contextmanager
def _appending(log: Path) -> Iterator[BinaryIO]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        yield output


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has died; a dead one stays unreaped, so that its group's id cannot be given to others."""
    if child.returncode is not None:
        return True
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(child: subprocess.Popen[bytes]) -> int:
    """End what is left of a dead child's group, then collect it; the exit status as `Popen` has it (-n: signal n)."""
    if child.returncode is None:
        signal_group(child, signal.SIGKILL)
    return child.wait()


def signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the child and to all that it started in its group."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def stop_child(child: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> int:
    """Send each signal in turn until the child dies within that signal's grace (s); in the end SIGKILL."""
    for number, grace in signals:
        if has_ended(child):
            break
        child.send_signal(number)
        wait_until(lambda: has_ended(child), grace)
    if not has_ended(child):
        child.kill()
        wait_until(lambda: has_ended(child), 10)
    return reap(child)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; False when it still does not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, from its last 32 KiB; a sentence when there are none."""
    if not log.exists():
        return "(the log does not exist)"
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 32_768))
        text = stream.read().decode(errors="replace").rstrip()
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
