"""The client of a warm program where there is no C compiler. client.c does the same and says why.

It is run as a program of its own, by a bare interpreter and under other names, so it imports nothing of ours.
"""

import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

_MOST = 200
_STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_OWN = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS),
    *(signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS),
}
_STARTED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
"""Ignored by this interpreter whatever its caller does; so their state at the caller's cannot be told."""


def main() -> None:
    """Have the program forked, or be the plain program."""
    name, arguments = Path(sys.argv[0]).name, sys.argv
    passed = [number for number in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{number}")]  # noqa: PTH110, PTH208
    request = encoded([name, *arguments[1:]], passed)
    # One that comes when the program runs must find this process with its handlers.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    server = have_it_forked(request, passed) if len(passed) <= _MOST else None
    if server is None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        execute_plain(name, arguments)
        return
    for descriptor in passed:
        os.close(descriptor)
    pass_signals_on(server)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    end_as_it_ends(server)


def have_it_forked(what: bytes, passed: Sequence[int]) -> socket.socket | None:
    """The connection once the program runs; None when nothing has been started."""
    try:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(b"\0" + os.environb[b"LOSSLINE_WARM"])
        request = os.memfd_create("request")
        os.write(request, what)
        directory = os.open(".", os.O_PATH | os.O_DIRECTORY)
        socket.send_fds(server, [b"."], [request, directory, *passed])
        os.close(request)
        os.close(directory)
        return server if server.recv(1) == b"F" else None
    except (OSError, KeyError):
        return None


def encoded(arguments: Sequence[str], passed: Sequence[int]) -> bytes:
    """The request: see request.py."""
    mask = os.umask(0)
    os.umask(mask)
    ignored = {n for n in signal.valid_signals() - _STARTED_BY_PYTHON if signal.getsignal(n) == signal.SIG_IGN}
    strings = [os.fsencode(text) for text in arguments]
    strings += given_environment()
    counts = (len(passed), len(arguments), len(strings) - len(arguments), 0)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    head = struct.pack("@4sIIIIIQQ", b"LLW1", mask, *counts, bits(ignored), bits(blocked))
    return head + struct.pack(f"@{len(passed)}i", *passed) + b"".join(text + b"\0" for text in strings)


def given_environment() -> list[bytes]:
    """As of the execve; this interpreter may have added to it."""
    return Path("/proc/self/environ").read_bytes().split(b"\0")[:-1]


def bits(signals: Iterable[int]) -> int:
    """A set of signals as the kernel writes it."""
    return sum(1 << (number - 1) for number in signals)


def pass_signals_on(server: socket.socket) -> None:
    """Every signal that is neither ignored nor tells of a mistake of this process."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(OSError):
            server.send(bytes([number]), socket.MSG_DONTWAIT)
        if number in _STOPPING:
            os.kill(os.getpid(), signal.SIGSTOP)

    for number in signal.valid_signals() - _OWN:
        with suppress(OSError, ValueError):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, pass_on)


def end_as_it_ends(server: socket.socket) -> None:
    """Wait for the status; without one the server is dead, and the attempt ends as lost."""
    word = server.recv(5, socket.MSG_WAITALL)
    status = struct.unpack("@i", word[1:])[0] if word[:1] == b"E" and len(word) == 5 else signal.SIGKILL
    if os.WIFSIGNALED(status):
        die_of(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def die_of(number: int) -> None:
    """By the signal that has killed the program, which has left its own core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)


def execute_plain(name: str, arguments: Sequence[str]) -> None:
    """The program of this name in another directory of PATH."""
    own = Path(sys.argv[0]).parent if "/" in sys.argv[0] else Path()
    for number in _STARTED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        candidate = Path(directory) / name
        if directory and os.access(candidate, os.X_OK) and not Path(directory).samefile(own):
            pairs = (text.partition(b"=") for text in given_environment())
            os.execve(candidate, [name, *arguments[1:]], {key: value for key, _, value in pairs})  # noqa: S606 - no shell
    os._exit(127)


if __name__ == "__main__":
    main()
