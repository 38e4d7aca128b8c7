"""Entries that the tests start as step processes. The fork server preloads this module; it must stay light."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from oasislmf.utils.log import oasis_log

from services.model_worker.processes.step_runner import run_step
from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps.errors import NoKeysError


def _payload(spec_path: Path) -> dict[str, Any]:
    return json.loads(spec_path.read_text())


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.005)


def _say(facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")


def return_status(spec_path: Path) -> int:
    return _payload(spec_path)["status"]


def raise_error(spec_path: Path) -> None:
    raise ValueError("the entry failed on purpose")


def leave_by_exit(spec_path: Path) -> None:
    sys.exit("leaving early")


def die_by_signal(spec_path: Path) -> None:
    os.kill(os.getpid(), _payload(spec_path)["signal"])
    signal.pause()


def speak_and_wait(spec_path: Path) -> None:
    _say("first")
    _wait_for(Path("go"))
    _say("second")


def write_raw(spec_path: Path) -> None:
    os.write(2, b"\xff\xfe not utf-8\r\n")
    sys.stdout.write("x" * 200_000 + "\nunfinished")


def say_time(spec_path: Path) -> None:
    _say(time.monotonic())


def describe(spec_path: Path) -> None:
    umask = os.umask(0)
    _say(
        {
            "environ": dict(os.environ),
            "directory": str(Path.cwd()),
            "umask": umask,
            "nice": os.nice(0),
            "session": os.getsid(0),
            "group": os.getpgid(0),
            "pid": os.getpid(),
            "random": random.getrandbits(64),
            "term": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
            "child": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
            "pipe": signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,
            "descriptors": sorted(map(str, _open_files())),
        }
    )


def _open_files() -> list[Path]:
    # The descriptor of the listing itself is closed when the names are looked at.
    return [link.readlink() for link in list(Path("/proc/self/fd").iterdir()) if link.is_symlink()]


def hold_memory(spec_path: Path) -> None:
    held = bytearray(_payload(spec_path)["bytes"])
    held[::4096] = b"x" * len(held[::4096])
    _say("held")
    _wait_for(Path("go"))


def plant_tree(spec_path: Path) -> None:
    """Descendants of every kind, then wait for ever."""
    _say(_plant_tree())
    signal.pause()


def plant_tree_and_end(spec_path: Path) -> None:
    _say(_plant_tree())


def _plant_tree() -> list[int]:
    program = subprocess.Popen(["sleep", "3600"])
    session = subprocess.Popen(["sh", "-c", "sleep 3600 & wait"], start_new_session=True)
    return [os.getpid(), program.pid, session.pid, _forked(), _daemon()]


def _forked() -> int:
    pid = os.fork()
    if pid == 0:
        _sleep_forever()
    return pid


def _daemon() -> int:
    """A process that forked twice, in a session of its own, deaf to polite signals."""
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        os.setsid()
        second = os.fork()
        if second == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(writing, f"{os.getpid()}\n".encode())
            _sleep_forever()
        os._exit(0)
    os.waitpid(first, 0)
    return int(os.read(reading, 32))


def _sleep_forever() -> NoReturn:
    while True:
        time.sleep(3600)


def pass_on_sigterm(spec_path: Path) -> None:
    """Deaf itself; its grandchild, in another session, writes a file when SIGTERM reaches it."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    script = 'trap "echo reached > grandchild; exit 0" TERM; echo listening; while :; do sleep 0.02; done'
    with subprocess.Popen(["sh", "-c", f"setsid sh -c '{script}' & wait"]):
        _wait_for(Path("grandchild"))


def run_test_step(spec_path: Path) -> int:
    return run_step(spec_path, _STEPS)


def _complete(context: StepContext) -> StepResult:
    logging.getLogger("model").info("Working on %s.", context.slug)
    path = context.directory / "lookup-1.tar.gz"
    path.write_bytes(context.files["location_file"].path.read_bytes())
    return StepResult({"lookup": path})


def _fail(context: StepContext) -> StepResult:
    path = context.directory / "log-1.tar.gz"
    path.write_bytes(b"log")
    error = ValueError("no such peril")
    error.artifacts = {"log": path, "gone": context.directory / "gone"}  # type: ignore[attr-defined]
    raise error


def _find_no_keys(context: StepContext) -> StepResult:
    raise NoKeysError


def _run_out_of_memory(context: StepContext) -> StepResult:
    raise RuntimeError("the kernel failed") from MemoryError()


def _promise(context: StepContext) -> StepResult:
    return StepResult({"lookup": context.directory / "never-written"})


def _exit(context: StepContext) -> StepResult:
    sys.exit(3)


def _hand_over_a_table(_: StepContext) -> StepResult:
    """Call a function that oasislmf logs, as it logs its own."""

    class Table:
        def __str__(self) -> str:
            print("A table is formatted.")  # noqa: T201
            return "a table"

    oasis_log(lambda _table: None)(Table())
    return StepResult({})


_STEPS = {
    "hand-over-a-table": _hand_over_a_table,
    "complete": _complete,
    "fail": _fail,
    "find-no-keys": _find_no_keys,
    "run-out-of-memory": _run_out_of_memory,
    "promise": _promise,
    "exit": _exit,
}
