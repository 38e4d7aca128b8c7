"""The guardian of one attempt: forks the step process, obeys the lifeline, outlives the step, reports how it ended.

It is forked by the fork server and does as little as it can: no threads, no logging, no model code. It outlives the
fork server. Only SIGKILL ends it early, and then the kernel kills the step process with it (`die_with_parent`) and
the supervisor sweeps the rest.
"""

import os
import select
import signal
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from services.model_worker.processes import prctl
from services.model_worker.processes.contract import (
    TERMINATE,
    ChildEnd,
    Message,
    Refused,
    Started,
    encode_message,
)
from services.model_worker.processes.markers import ATTEMPT_WIDTH, stamp_attempt
from services.model_worker.processes.proc import open_descriptors
from services.model_worker.processes.reaper import Reaper, signal_descendants
from services.model_worker.processes.step_process import become_step
from services.model_worker.warm.leash import Leash

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


@dataclass(frozen=True)
class Descriptors:
    """What the supervisor sent along with a request; the other ends are in the supervisor alone."""

    specification: int  # a file
    lifeline: int  # reading end
    output: int  # writing end: stdout and stderr of the attempt
    status: int  # writing end


def guard(descriptors: Descriptors) -> NoReturn:
    """What the fork server's child does, from its first line to its end."""
    code = 1
    try:
        _guard(descriptors)
        code = 0
    except BaseException:  # noqa: BLE001 nothing may unwind into the fork server's loop, which this copies
        _say(descriptors.status, Refused(traceback.format_exc()))
    finally:
        os._exit(code)


def _guard(descriptors: Descriptors) -> None:
    stamp_attempt(os.pread(descriptors.specification, ATTEMPT_WIDTH, 0))
    wake = _wake_on_child()
    gate, opener = os.pipe()
    leash, leashed = os.pipe()
    # As early as can be: a page that was written to before the fork is copied once more after it.
    step = os.fork()
    if step == 0:
        ours = (*vars(descriptors).values(), *wake, opener, leash)
        become_step(descriptors.specification, output=descriptors.output, gate=gate, leash=leashed, inherited=ours)
    _become_guardian()
    os.close(gate)
    _say(descriptors.status, Started(guardian_pid=os.getpid(), pid=step))
    os.write(opener, b"1")
    _keep_only(descriptors.lifeline, descriptors.status, leash, *wake)
    os.set_blocking(leash, False)
    reaper, programs = Reaper(step), Leash()
    _watch(reaper, programs, descriptors.lifeline, leash, wake[0])
    _hear(programs, leash)
    killed = reaper.kill_the_rest()
    _say(descriptors.status, _end(reaper, programs, killed - {programs.pid}))


def _become_guardian() -> None:
    os.setsid()  # the run scripts of oasislmf kill by process group: the guardian must be in none of theirs
    prctl.set_name("lossline-guard")
    prctl.adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, _DEAF_TO)


def _wake_on_child() -> tuple[int, int]:
    """A pipe that becomes readable whenever a child ends (a pidfd would not tell of adopted ones)."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading, writing


def _keep_only(*kept: int) -> None:
    """Close every other descriptor: a copy of the output pipe here, and the supervisor would never see its end."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for descriptor in open_descriptors():
        if descriptor > 2 and descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)


def _watch(reaper: Reaper, programs: Leash, lifeline: int, leash: int, wake: int) -> None:
    """Obey the lifeline until the step process has ended."""
    poller = select.poll()
    for descriptor in (lifeline, leash, wake):
        poller.register(descriptor, select.POLLIN)
    while reaper.step_status is None:
        readable = {descriptor for descriptor, _ in poller.poll()}
        if lifeline in readable:
            killed, goes_on = _obey(os.read(lifeline, 64))
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


def _obey(commands: bytes) -> tuple[bool, bool]:
    """Carry out what the supervisor wrote: whether that killed, and whether more may come.

    The end of the pipe kills like a command.
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


def _say(status: int, message: Message) -> None:
    with suppress(BrokenPipeError):  # the supervisor is dead; nobody wants to know
        os.write(status, encode_message(message))
