"""The fork server's program: import what steps need, then fork a guardian for each request. It must be single-threaded.

    python -m services.model_worker.processes.fork_server <socket> <supervisor's pid> <module[:function]>… <room>

A request on the socket is one byte with the guardian's end of a lifeline. There is no answer: the guardian speaks for
itself. The end of the socket ends the server.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from services.model_worker.processes import prctl, proc
from services.model_worker.processes.contract import (
    Failed,
    Message,
    Ready,
    Refused,
    encode_message,
)
from services.model_worker.processes.guardian import guard
from services.model_worker.processes.huge_pages import gather_memory
from services.model_worker.processes.markers import attempt_room
from services.model_worker.processes.step_process import changed_signals
from services.model_worker.warm.leftovers import low_descriptors_taken

_GATHERS_AFTER = 1.0
"""Seconds for which it serves before it gathers its memory."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Serve until the supervisor is gone.

    Leaves by os._exit: exit handlers of what was imported take time and mean nothing here.
    """
    descriptor, parent, *preload = arguments[:-1]  # the last is room for what programs show as theirs
    _belong_to(int(parent))
    with socket.socket(fileno=int(descriptor)) as supervisor:
        os.set_inheritable(supervisor.fileno(), False)
        with low_descriptors_taken():
            answer = _preload(preload)
        with suppress(ConnectionError):
            supervisor.sendall(encode_message(answer))
        if isinstance(answer, Ready):
            _serve(supervisor)
    os._exit(0 if isinstance(answer, Ready) else 1)


def _belong_to(parent: int) -> None:
    """The end of the socket would only be seen after the imports; and only SIGKILL or that end stops the server."""
    prctl.set_name("lossline-forks")
    prctl.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the guardians


def _preload(modules: Sequence[str]) -> Ready | Failed:
    began = time.monotonic()
    gc.disable()  # a tenth of the imports' time would go into looking at what they keep
    for module in modules:
        name, _, function = module.partition(":")
        try:
            imported = importlib.import_module(name)
            if function:
                getattr(imported, function)()
        except Exception as error:  # noqa: BLE001 model code may raise anything; the supervisor gets the whole of it
            if function:
                _start_anew_without(module, error)
            return Failed(f"Importing {module} failed.\n{traceback.format_exc()}")
    names = proc.threads()
    if len(names) > 1:
        return Failed(
            f"Importing {', '.join(modules)} left threads running ({', '.join(names)}). A fork copies one "
            "thread and the locks of all, so steps could hang. Start threads when they are needed, not at import."
        )
    attempt_room()  # looked up once for all attempts, as the signals
    changed_signals()
    # Collecting garbage writes to every object, and so would copy the shared pages in every child.
    gc.collect()
    gc.freeze()
    return Ready(pid=os.getpid(), seconds=time.monotonic() - began)


def _start_anew_without(function: str, error: Exception) -> NoReturn:
    """The same process, with nothing of what was imported; its socket and its parent are those that it had.

    What a function prepares only makes steps faster: they are served without it.
    """
    sys.stderr.write(f"The fork server goes on without {function}: {error!r}\n")
    arguments = [argument for argument in sys.orig_argv if argument != function]
    os.set_inheritable(int(sys.argv[1]), True)
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell is wanted


def _serve(supervisor: socket.socket) -> None:
    """The first sub-task of a new worker does not wait for memory to be gathered."""
    gathers_at: float | None = time.monotonic() + _GATHERS_AFTER
    while True:
        if gathers_at is not None and not _is_asked(supervisor, before=gathers_at):
            gather_memory()
            gathers_at = None
        # One byte at a time: a descriptor travels with its byte, and bytes of two requests are never read as one.
        data, received, _, _ = socket.recv_fds(supervisor, 1, 1, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        _fork_guardian(supervisor, *received, stays=gathers_at is None)


def _is_asked(supervisor: socket.socket, before: float) -> bool:
    """Wait for a request until then. Whatever comes later is not looked at."""
    left = before - time.monotonic()
    return left > 0 and bool(select.select((supervisor,), (), (), left)[0])


def _fork_guardian(supervisor: socket.socket, lifeline: int, *, stays: bool) -> None:
    try:
        _flush()
        if os.fork() == 0:
            supervisor.close()
            guard(lifeline, stays=stays)
    except OSError:
        _refuse(lifeline, Refused(traceback.format_exc()))
    finally:
        os.close(lifeline)


def _flush() -> None:
    """What is buffered here would be written again by every child."""
    sys.stdout.flush()
    sys.stderr.flush()


def _refuse(lifeline: int, message: Message) -> None:
    with suppress(ConnectionError):
        os.write(lifeline, encode_message(message))


if __name__ == "__main__":
    main(sys.argv[1:])
