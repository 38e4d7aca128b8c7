"""From a fork of the guardian to a process that looks freshly started, and then the entry."""

import faulthandler
import gc
import importlib
import logging
import os
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn, TextIO, cast

from services.model_worker.processes import prctl
from services.model_worker.processes.contract import ChildSpec, decode_spec
from services.model_worker.warm.program_server import clients_of, start_program_server
from services.model_worker.warm.warm_process import here

_KILL_ME_FIRST = 500
"""oom_score_adj of steps: the kernel, short of memory, takes a step rather than its guardian or the supervisor."""


def become_step(specification: int, *, output: int, gate: int, leash: int, inherited: Iterable[int]) -> NoReturn:
    """Never returns. A byte comes out of `gate` once the guardian has told the supervisor of this process; `leash` is
    for the program server.

    `inherited` are descriptors of the guardian that must have no copy here: the lifeline's, the other end of the gate,
    and so on.

    Leaves by os._exit, so that exit handlers of the fork server do not run here; threads end with the entry.
    """
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        _attach_output(output)
        spec = decode_spec(os.pread(specification, os.fstat(specification).st_size, 0))
        _close((specification, output, *inherited))
        _die_with_guardian(gate)
        _look_fresh(spec)
        _start_warm_programs(leash)
        status = _call(spec)
    except BaseException:  # noqa: BLE001 nothing may unwind into the guardian, of which this process is a copy
        traceback.print_exc()
    finally:
        _flush()
        os._exit(status)


def _attach_output(output: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # New streams, not the fork server's: those remember what their descriptors were (a file, a terminal).
    sys.stdout = _line_stream(1)
    sys.stderr = _line_stream(2)


def _line_stream(descriptor: int) -> TextIO:
    """Lines leave as they are written. Closing it leaves the descriptor open, as with any program's streams."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _die_with_guardian(gate: int) -> None:
    """Wait for the guardian's word; its death before that is the end of the pipe, and after that a SIGKILL."""
    prctl.die_with_parent()
    if not os.read(gate, 1):
        os._exit(1)
    os.close(gate)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _look_fresh(spec: ChildSpec) -> None:
    """A session, signals, environment, directory and randomness of its own."""
    os.setsid()
    prctl.set_name("lossline-step")
    _reset_signals()
    _be_killed_first()
    _take_environment(spec.environ)
    tempfile.tempdir = None  # the fork server may have looked up its own
    os.chdir(spec.directory)
    os.nice(spec.nice)
    if spec.umask is not None:
        os.umask(spec.umask)
    gc.enable()
    faulthandler.enable()
    _reseed()


def _take_environment(wanted: Mapping[str, str]) -> None:
    """Exactly this one. Most of it is there: the fork server has nearly the same."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _start_warm_programs(leash: int) -> None:
    warm, clients = here(), clients_of(os.environ)
    if warm is not None and clients is not None:
        os.environ.update(start_program_server(warm, clients, os.environ.get("PATH", os.defpath), leash))
    os.close(leash)


@cache
def changed_signals() -> frozenset[int]:
    """Those that have another action than programs start with. A fork has them as its parent: who forks looks once."""
    return frozenset(number for number in signal.valid_signals() if signal.getsignal(number) is not signal.SIG_DFL)


def _reset_signals() -> None:
    """What a Python program starts with."""
    for number in changed_signals():
        with suppress(OSError, ValueError):  # a few of the real-time signals belong to libc
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # last: a SIGTERM that has come meanwhile ends the step


def _be_killed_first() -> None:
    with suppress(OSError):  # read-only in some sandboxes; it is a preference, not a promise
        score = os.open("/proc/self/oom_score_adj", os.O_RDWR)
        if int(os.read(score, 16)) < _KILL_ME_FIRST:
            os.write(score, b"%d" % _KILL_ME_FIRST)
        os.close(score)


def _reseed() -> None:
    """Children of one fork server would otherwise all draw the same numbers."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


def _call(spec: ChildSpec) -> int:
    module, _, function = spec.entry.partition(":")
    entry = cast("Callable[[Path], int | None]", getattr(importlib.import_module(module), function))
    try:
        return entry(spec.spec_path) or 0
    except SystemExit as leaving:
        return _status_of(leaving)


def _status_of(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def _flush() -> None:
    with suppress(OSError, ValueError):  # the reader is gone, or the step closed a stream
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
