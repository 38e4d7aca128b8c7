"""The parent of one worker process: it stays when the worker controller goes, and writes down how the worker ended.

Run as a script without site packages, so that it costs some 20 ms and 10 MB:

    python -I -S keeper.py FOLDER LOCK LIFELINE PROGRAM [ARGUMENT...]

LOCK is the descriptor of a file that is locked for as long as this process lives; whoever can lock it knows that the
worker is gone. LIFELINE is the id of a process without which the worker shall not live, or 0. SIGTERM is passed on.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CANNOT_START = 127


def main(arguments: list[str]) -> None:
    """Start the worker, wait for its end, write `ended.json`."""
    folder, lock, lifeline, *program = arguments
    os.set_inheritable(int(lock), False)
    began = time.monotonic()
    waits_for = [os.pidfd_open(int(lifeline))] if lifeline != "0" else []
    pid = _start(program)
    signal.signal(signal.SIGTERM, lambda *_: _send(pid, signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = os.pidfd_open(pid)
    ready, _, _ = select.select([worker, *waits_for], [], [])
    if worker not in ready:
        _send(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    _write(Path(folder) / "ended.json", {"code": os.waitstatus_to_exitcode(status), "lived": time.monotonic() - began})


def _start(program: list[str]) -> int:
    """Fork, not spawn: the worker must ask to be killed with this process before it becomes another program."""
    keeper, pid = os.getpid(), os.fork()
    if pid:
        return pid
    try:
        if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0 and os.getppid() == keeper:
            os.execvp(program[0], program)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{program[0]} cannot be started: {error}\n")
    os._exit(_CANNOT_START)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _write(path: Path, content: dict[str, float]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.rename(path)


if __name__ == "__main__":
    main(sys.argv[1:])
