"""The tiny program, under several names. Its first argument says what it does."""

import atexit
import ctypes
import json
import logging
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import tiny_module


def describe() -> None:
    """Everything that a program can see of how it was started."""
    mask = os.umask(0)
    os.umask(mask)
    facts = {
        "arguments": sys.argv[1:],
        "original": [Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]],
        "environ": {name: value for name, value in os.environ.items() if name not in {"_", "PATH", "LOSSLINE_WARM"}},
        "directory": str(Path.cwd()),
        "umask": mask,
        "nice": os.nice(0),
        "group": os.getpgid(0) == os.getpgid(os.getsid(0)),
        "session": os.getsid(0) == os.getpid(),
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "signals": {number.name: str(signal.getsignal(number)) for number in signal.Signals},
        "handled": [
            line for line in Path("/proc/self/status").read_text().splitlines() if line[:4] in ("SigI", "SigC")
        ],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup": _wakeup(),
        "descriptors": _descriptors(),
        "inheritable": {number: os.get_inheritable(number) for number in map(int, _descriptors()) if number > 2},
        "streams": [_stream(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "cmdline": _cmdline(),
        "name": Path("/proc/self/comm").read_text().strip(),
        "path": sys.path,
        "main": {name: str(vars(sys.modules["__main__"]).get(name)) for name in ("__file__", "__name__", "__spec__")},
        "ours": sorted(name for name in sys.modules if name.startswith(("services", "shared"))),
        "threads": threading.active_count(),
        "handlers": [str(handler) for handler in logging.getLogger().handlers],
        "temporary": tempfile.gettempdir(),
        "collecting": __import__("gc").isenabled(),
        "dies_with_parent": False,
        "option": tiny_module.READ_AT_IMPORT,
    }
    sys.stdout.write(json.dumps(facts) + "\n")


def _wakeup() -> int:
    return signal.set_wakeup_fd(-1)


def _descriptors() -> dict[str, str]:
    links = {link.name: link for link in Path("/proc/self/fd").iterdir()}
    seen = {name: str(link.readlink()) for name, link in links.items() if link.exists() or link.is_symlink()}
    return {name: target.split(":")[0] for name, target in seen.items() if not target.startswith("/proc/")}


def _stream(stream: object) -> object:
    names = ("name", "mode", "encoding", "errors", "line_buffering", "write_through", "newlines")
    return stream and {name: getattr(stream, name) for name in names}


def _cmdline() -> str:
    raw = Path("/proc/self/cmdline").read_bytes().rstrip(b"\0")
    return os.fsdecode(raw.replace(b"\0", b" ").partition(b" ")[2])


def fails() -> None:
    raise ValueError("on purpose")


def exits() -> None:
    argument = sys.argv[2]
    sys.exit(int(argument) if argument.lstrip("-").isdigit() else argument)


def ends_in_order() -> None:
    """A thread that outlives the main one, exit handlers, a temporary folder, buffers of Python and of C."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(lambda: sys.stdout.write(f"handler {Path(folder.name).is_dir()}\n"))
    threading.Thread(target=lambda: (time.sleep(0.05), sys.stdout.write("thread\n"))).start()
    libc = ctypes.CDLL(None)
    libc.printf(b"buffered by C\n")
    sys.stdout.write("main\n")
    Path(sys.argv[2]).write_text(folder.name)


def draws() -> None:
    sys.stdout.write(f"{random.getrandbits(64)}\n")


def copies() -> None:
    """Standard input to standard output."""
    while data := sys.stdin.buffer.read1(65536):
        sys.stdout.buffer.write(data)


def dies() -> None:
    number = int(sys.argv[2])
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    os.kill(os.getpid(), number)
    time.sleep(60)


def waits() -> None:
    """Tell the signals that arrive, after "ready"; SIGUSR2 ends it."""
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, lambda number, _: sys.stdout.write(f"{signal.Signals(number).name}\n"))
    signal.signal(signal.SIGUSR2, lambda *_: sys.exit(7))
    sys.stdout.reconfigure(line_buffering=True)
    sys.stdout.write(f"ready {os.getpid()} {os.getppid()}\n")
    while True:
        time.sleep(60)


def waits_plainly() -> None:
    sys.stdout.write(f"ready {os.getpid()} {os.getppid()}\n")
    sys.stdout.flush()
    time.sleep(60)


def forks() -> None:
    """A fork that runs to its end, with a status of its own, while the program goes on."""
    child = os.fork()
    if child == 0:
        sys.exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    time.sleep(0.05)
    sys.stdout.write(f"its fork {status}\n")
    sys.exit(5)


def is_interrupted() -> None:
    raise KeyboardInterrupt


def counts_itself() -> None:
    """One line more in a file, at the very beginning."""
    with Path(sys.argv[2]).open("ab", buffering=0) as file:
        file.write(b"once\n")


def tells_parent() -> None:
    sys.stdout.write(Path(f"/proc/{os.getppid()}/comm").read_text())


def tells_server() -> None:
    sys.stdout.write(f"{os.getppid()}\n")


def finds_first() -> None:
    """Put a directory before all others and import from it."""
    sys.path.insert(0, sys.argv[2])
    sys.stdout.write(f"{Path(__import__(sys.argv[3]).__file__).parent}\n")


def takes_memory() -> None:
    held = bytearray(int(sys.argv[2]))
    held[::4096] = b"x" * len(held[::4096])


if __name__ == "__main__":
    globals()[sys.argv[1]]()
