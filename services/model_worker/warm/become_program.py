"""From a fork of the program server to a program that looks freshly started, and its run."""

import builtins
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import NoReturn

from services.model_worker.processes import prctl, proc
from services.model_worker.warm import streams
from services.model_worker.warm.ending import run_and_end
from services.model_worker.warm.exit_handlers import keep_exit_handlers
from services.model_worker.warm.last_words import LastWords
from services.model_worker.warm.programs import Program
from services.model_worker.warm.request import FORKED, Request
from services.model_worker.warm.server_signals import CHANGED
from services.model_worker.warm.title import show_arguments
from services.model_worker.warm.warm_process import WarmProcess, name_parsers

_OUR_PACKAGES = ("services", "shared")
_LIMITS = tuple({number for name, number in vars(resource).items() if name.startswith("RLIMIT_")})


@dataclass(frozen=True)
class Inherited:
    """What came over the socket, the socket, and where the program's status is told."""

    connection: socket.socket
    directory: int
    targets: Mapping[int, int]
    """From the number that a descriptor has at the client's to the one that it has here."""
    last_words: LastWords
    slot: int | None


def become_program(
    warm: WarmProcess, program: Program, request: Request, inherited: Inherited, *, client: int, server: int
) -> NoReturn:
    """Never returns. Up to the word FORKED a failure only means that the client starts the program plain."""
    say = inherited.last_words.of_program(inherited.slot, server)
    server_log = os.dup(2)
    try:
        _belong_to(server)
        connection, directory, server_log = _take_descriptors(inherited, server_log, warm.descriptors)
        _take_place(request, directory, client)
        _take_limits(client)
        _reset_signals(request)
        _look_fresh(warm, program, request)
        with socket.socket(fileno=connection) as telling:
            telling.send(FORKED)
        os.close(server_log)
    except BaseException:  # noqa: BLE001 - nothing may unwind into the server, of which this process is a copy
        _tell(server_log)
        os._exit(1)
    run_and_end(program.code, sys.modules["__main__"].__dict__, warm.at_end, say)


def _belong_to(server: int) -> None:
    """A program whose server is dead could tell nobody how it ended: the kernel kills it, and the attempt is lost."""
    signal.set_wakeup_fd(-1)
    prctl.die_with_parent()
    if os.getppid() != server:
        raise ProcessLookupError(f"The program server {server} is gone.")


def _tell(server_log: int) -> None:
    """In the log of the attempt, of which the client knows nothing."""
    with suppress(OSError):
        os.write(server_log, f"A program is started plain.\n{traceback.format_exc()}".encode())


def _take_descriptors(inherited: Inherited, server_log: int, files: frozenset[int]) -> tuple[int, int, int]:
    """Exactly the client's descriptors under its numbers, with three of ours above them and the files of libraries."""
    base = max((2, *inherited.targets)) + 1
    connection = fcntl.fcntl(inherited.connection, fcntl.F_DUPFD_CLOEXEC, base)
    directory = fcntl.fcntl(inherited.directory, fcntl.F_DUPFD_CLOEXEC, base)
    telling = fcntl.fcntl(server_log, fcntl.F_DUPFD_CLOEXEC, base)
    moved = {number: fcntl.fcntl(here, fcntl.F_DUPFD_CLOEXEC, base) for number, here in inherited.targets.items()}
    kept = {connection, directory, telling, *moved.values(), *files}
    for descriptor in proc.open_descriptors():
        if descriptor not in kept:
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)
    for number, here in moved.items():
        os.dup2(here, number)
        os.close(here)
    inherited.connection.detach()
    return connection, directory, telling


def _take_place(request: Request, directory: int, client: int) -> None:
    os.fchdir(directory)
    os.close(directory)
    os.umask(request.umask)
    os.setpgid(0, os.getpgid(client))


def _take_limits(client: int) -> None:
    """Of the client's process: limits, niceness, processors, policy."""
    for limit in _LIMITS:
        wanted = resource.prlimit(client, limit)
        if wanted != resource.getrlimit(limit):
            resource.setrlimit(limit, wanted)
    nice = os.getpriority(os.PRIO_PROCESS, client)
    if nice != os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    processors = os.sched_getaffinity(client)
    if processors != os.sched_getaffinity(0):
        os.sched_setaffinity(0, processors)
    policy = os.sched_getscheduler(client)
    if policy != os.sched_getscheduler(0):
        os.sched_setscheduler(0, policy, os.sched_getparam(client))


def _reset_signals(request: Request) -> None:
    """What a Python program has after its start, given what its caller ignores and blocks."""
    for number in CHANGED | request.ignored - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # a few of the real-time signals belong to libc
            signal.signal(number, signal.SIG_IGN if number in request.ignored else signal.SIG_DFL)
    if signal.SIGINT not in request.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request.blocked)


def _look_fresh(warm: WarmProcess, program: Program, request: Request) -> None:
    arguments = [os.fsdecode(argument) for argument in request.arguments[1:]]
    prctl.set_name(program.name)
    show_arguments([sys.executable, str(program.script), *arguments])
    os.environb.clear()
    os.environb.update(request.environ)
    os.environ.update(warm.set_by_python(request))
    tempfile.tempdir = None  # it may have been chosen by the warm process's TMPDIR
    sys.argv = [str(program.script), *arguments]
    sys.orig_argv = [sys.executable, str(program.script), *arguments]
    sys.path[:] = [str(program.script.parent), *warm.module_path]
    name_parsers(program)
    streams.open_standard_streams()
    sys.modules["__main__"] = _main_module(program)
    _reseed()
    gc.enable()


def forget_warm_process(warm: WarmProcess) -> None:
    """For the program server, once, because freeing takes milliseconds: what no program of it must find.

    A model's own module of the same name must be found as if ours were not loaded.
    """
    keep_exit_handlers(warm.exit_handlers)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OUR_PACKAGES]:
        del sys.modules[name]


def _main_module(program: Program) -> ModuleType:
    main, path = ModuleType("__main__"), str(program.script)
    loader = SourceFileLoader("__main__", path)
    facts = {"__file__": path, "__cached__": None, "__loader__": loader, "__builtins__": builtins}
    vars(main).update(facts)
    return main


def _reseed() -> None:
    """Forks of one process would otherwise all draw the same numbers (random reseeds itself)."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
