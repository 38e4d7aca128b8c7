"""The guardian of a slot: forks a step process for each attempt, outlives it, reports how it ended, obeys the lifeline.

It is forked by the fork server, which it outlives, and serves one attempt after the other; between two it has no
descendant. It does as little as it can: no threads, no logging, no model code. Only SIGKILL ends it early, and then
the kernel kills the step process with it (`die_with_parent`) and the supervisor sweeps the rest.
"""

import os
import select
import signal
import socket
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from services.model_worker.processes import prctl
from services.model_worker.processes.contract import (
    START,
    TERMINATE,
    ChildEnd,
    Message,
    Refused,
    Started,
    encode_message,
)
from services.model_worker.processes.markers import ATTEMPT_ROOM, ATTEMPT_WIDTH, stamp_attempt
from services.model_worker.processes.proc import open_descriptors
from services.model_worker.processes.reaper import Reaper, signal_descendants
from services.model_worker.processes.step_process import become_step
from services.model_worker.warm.leash import Leash
from services.model_worker.warm.leftovers import FIRST_KEPT

_DEAF_TO = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGPIPE,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
)


def guard(lifeline: int, *, stays: bool) -> NoReturn:
    """What the fork server's child does, from its first line to its end: that of the lifeline.

    One that does not stay ends with its first attempt.
    """
    code = 1
    try:
        supervisor = socket.socket(fileno=lifeline)  # never closed but by the end: the last words go by it
        _serve(supervisor, _become_guardian(lifeline), stays=stays)
        code = 0
    except BaseException:  # noqa: BLE001 nothing may unwind into the fork server's loop, which this copies
        _say(lifeline, Refused(traceback.format_exc()))
    finally:
        os._exit(code)


_DESCRIPTORS = 2
"""Of an attempt: its specification, which is a memory file, and the writing end of its output."""


@dataclass(frozen=True)
class Wake:
    """A pipe that becomes readable whenever a child ends (a pidfd would not tell of adopted ones)."""

    reading: int
    writing: int


def _become_guardian(lifeline: int) -> Wake:
    os.setsid()  # the run scripts of oasislmf kill by process group: the guardian must be in none of theirs
    prctl.set_name("lossline-guard")
    prctl.adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, _DEAF_TO)
    wake = Wake(*os.pipe())
    os.set_blocking(wake.reading, False)
    os.set_blocking(wake.writing, False)
    signal.set_wakeup_fd(wake.writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _keep_only(lifeline, wake.reading, wake.writing)
    return wake


def _keep_only(*kept: int) -> None:
    """Close every other descriptor but those of libraries, which steps must find open."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for descriptor in open_descriptors():
        if 2 < descriptor < FIRST_KEPT and descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)


def _serve(supervisor: socket.socket, wake: Wake, *, stays: bool) -> None:
    is_last = False
    while not is_last:
        command, received = _command(supervisor)
        if command == START:
            _guard_attempt(supervisor.fileno(), wake, *received)
        # Any other was meant for the attempt that had ended when it was written.
        is_last = not command or (command == START and not stays)


def _command(supervisor: socket.socket) -> tuple[bytes, list[int]]:
    """The next one, with its descriptors; empty when the supervisor is gone."""
    try:
        command, received, _, _ = socket.recv_fds(supervisor, 1, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return b"", []
    return command, received


def _guard_attempt(lifeline: int, wake: Wake, specification: int, output: int) -> None:
    """From the fork of its step to the report of its end."""
    stamp_attempt(os.pread(specification, ATTEMPT_WIDTH, 0))
    gate, opener = os.pipe()
    leash, leashed = os.pipe()
    try:
        step = os.fork()
    except OSError:
        _close(gate, opener, leash, leashed, specification, output)
        _say(lifeline, Refused(traceback.format_exc()))
        return
    if step == 0:
        ours = (lifeline, *vars(wake).values(), opener, leash)
        become_step(specification, output=output, gate=gate, leash=leashed, inherited=ours)
    # A copy of the output here, and the supervisor would never see its end.
    _close(gate, leashed, specification, output)
    _say(lifeline, Started(guardian_pid=os.getpid(), pid=step))
    os.write(opener, b"1")
    os.set_blocking(leash, False)
    reaper, programs = Reaper(step), Leash()
    _watch(reaper, programs, lifeline, leash, wake.reading)
    _hear(programs, leash)
    killed = reaper.kill_the_rest()
    _close(opener, leash)
    stamp_attempt(ATTEMPT_ROOM.encode())
    _say(lifeline, _end(reaper, programs, killed - {programs.pid}))


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _watch(reaper: Reaper, programs: Leash, lifeline: int, leash: int, wake: int) -> None:
    """Obey the lifeline until the step process has ended."""
    poller = select.poll()
    for descriptor in (lifeline, leash, wake):
        poller.register(descriptor, select.POLLIN)
    while reaper.step_status is None:
        readable = {descriptor for descriptor, _ in poller.poll()}
        if lifeline in readable:
            killed, goes_on = _obey(_commands(lifeline))
            programs.killed = programs.killed or killed
            if not goes_on:
                poller.unregister(lifeline)
        if leash in readable:
            _hear(programs, leash)
            if programs.dead:
                poller.unregister(leash)
            if programs.lost:
                signal_descendants(signal.SIGKILL)
        if wake in readable:
            os.read(wake, 4096)
        reaper.collect()


def _hear(programs: Leash, leash: int) -> None:
    """What the program server has said, to the last word."""
    with suppress(BlockingIOError):
        while not programs.dead:
            programs.feed(os.read(leash, 4096))


def _commands(lifeline: int) -> bytes:
    """What has been written, START never among it; empty when the supervisor is gone."""
    try:
        return os.read(lifeline, 64)
    except ConnectionError:
        return b""


def _obey(commands: bytes) -> tuple[bool, bool]:
    """Carry out what the supervisor wrote: whether that killed, and whether more may come.

    The end of the lifeline kills like a command.
    """
    kills = not commands or bool(commands.strip(TERMINATE))
    signal_descendants(signal.SIGKILL if kills else signal.SIGTERM)
    return kills, bool(commands)


def _end(reaper: Reaper, programs: Leash, killed: Collection[int | None]) -> ChildEnd:
    code = os.waitstatus_to_exitcode(reaper.step_status or 0)
    return ChildEnd(
        exit_status=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        peak_memory=reaper.peak_memory,
        killed_descendants=len(killed),
        lost_programs=programs.lost,
    )


def _say(lifeline: int, message: Message) -> None:
    with suppress(ConnectionError):  # the supervisor is dead; nobody wants to know
        os.write(lifeline, encode_message(message))
