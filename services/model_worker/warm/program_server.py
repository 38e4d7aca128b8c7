"""The program server of an attempt: forks a program for each client that asks, and tells it how the program ended.

It is a copy of the warm process, forked by the step before it runs any code of its own, so that it is in the step's
session (where alone a fork can join its client's process group) and a child of the attempt's guardian. It is
single-threaded, opens no path, and takes one request at a time from its receipt to the fork.

On the socket: the client's byte comes with descriptors (`request.py`), and after that one byte a signal to pass on;
the program itself says FORKED before its first line, the server says ENDED with the status.
"""

import gc
import os
import secrets
import select
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.model_worker.processes import prctl, proc
from services.model_worker.warm import leash, title
from services.model_worker.warm.become_program import Inherited, become_program, forget_warm_process
from services.model_worker.warm.environment import ADDRESS_VARIABLE, CLIENTS_VARIABLE, path_with
from services.model_worker.warm.last_words import LastWords
from services.model_worker.warm.request import ENDED, STATUS, BadRequestError, decode_request
from services.model_worker.warm.server_signals import become_deaf, wake_on_child
from services.model_worker.warm.warm_process import WarmProcess

_MOST_DESCRIPTORS = 253
_RECEIVING = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
_LOOK_EVERY_MS = 250
_PEER = struct.Struct("@iII")


def start_program_server(warm: WarmProcess, clients: str, path: str, guardian_end: int) -> dict[str, str]:
    """Fork it; returns the variables by which programs of this process find it.

    `guardian_end` is the writing end of the leash. Call it in a session of its own, before any code that may start
    threads. Raises OSError.
    """
    name = f"lossline-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(b"\0" + name.encode())  # in no file system: nothing to sweep, and no limit to a folder's depth
        listener.listen(socket.SOMAXCONN)
        _fork_for_guardian(warm, listener, guardian_end)
    return {ADDRESS_VARIABLE: name, "PATH": path_with(clients, str(warm.scripts), path)}


def _fork_for_guardian(warm: WarmProcess, listener: socket.socket, guardian_end: int) -> None:
    """Fork twice: the second is nobody's child here, and so the guardian's."""
    middle = os.fork()
    if middle == 0:
        try:
            middle = os.getpid()
            if os.fork() == 0:
                _be_adopted(middle)
                ProgramServer(warm, listener, guardian_end).serve()
        finally:
            os._exit(0)
    os.waitpid(middle, 0)


def _be_adopted(middle: int) -> None:
    while os.getppid() == middle:
        select.select((), (), (), 0.0005)
    prctl.die_with_parent()
    prctl.set_name("lossline-progs")
    os.setpgid(0, 0)  # run scripts kill by group: the server must be in none of theirs


@dataclass
class Call:
    """One program that runs."""

    pid: int
    client: int
    connection: socket.socket | None
    """None when the client is gone, or told."""
    slot: int | None
    """In which the program says its status."""
    told: bool = False
    """The guardian that it has ended."""
    stopped: bool = False


class ProgramServer:
    """Serves until it is killed."""

    def __init__(self, warm: WarmProcess, listener: socket.socket, guardian_end: int) -> None:
        self._warm = warm
        self._listener = listener
        self._guardian = guardian_end
        self._asking: dict[int, socket.socket] = {}
        self._calls: dict[int, Call] = {}
        """By the descriptor of the connection."""
        self._running: dict[int, Call] = {}
        """By process id."""
        self._poller = select.poll()
        self._last_words = LastWords()

    def serve(self) -> None:
        """Until the guardian is gone or kills."""
        become_deaf()
        forget_warm_process(self._warm)
        title.room()  # looked up once for all programs
        gc.collect()
        gc.freeze()
        wake = wake_on_child()
        os.write(self._guardian, leash.greeting(os.getpid()))
        self._poller.register(self._listener, select.POLLIN)
        self._poller.register(wake, select.POLLIN)
        while True:
            for descriptor, _ in self._poller.poll(_LOOK_EVERY_MS if self._running else None):
                if descriptor == wake:
                    os.read(wake, 4096)
                    self._collect()
                elif descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._asking:
                    self._answer(self._asking.pop(descriptor))
                elif descriptor in self._calls:
                    self._obey(self._calls[descriptor])
            self._follow_stops()

    def _accept(self) -> None:
        with suppress(OSError):  # the client has gone, or there are too many files for now: it will be asked again
            connection, _ = self._listener.accept()
            self._asking[connection.fileno()] = connection
            self._poller.register(connection, select.POLLIN)

    def _answer(self, connection: socket.socket) -> None:
        """Fork the program that is asked for, or hang up: then the client starts it plain."""
        received: Sequence[int] = ()
        call = None
        try:
            data, received, flags, _ = socket.recv_fds(connection, 1, _MOST_DESCRIPTORS, _RECEIVING)
            if data and not flags & socket.MSG_CTRUNC:
                call = self._forked(connection, received)
        except BlockingIOError:  # the event was of an earlier connection with this descriptor
            self._asking[connection.fileno()] = connection
            return
        except (OSError, BadRequestError):
            call = None
        finally:
            for descriptor in received:
                os.close(descriptor)
        if call is None:
            self._hang_up(connection)

    def _forked(self, connection: socket.socket, received: Sequence[int]) -> Call | None:
        memory, directory, *passed = received
        request = decode_request(os.pread(memory, os.fstat(memory).st_size, 0))
        program, client = self._warm.serves(request), _peer(connection)
        if program is None or client is None or len(passed) != len(request.targets):
            return None
        server, slot = os.getpid(), self._last_words.slot()
        os.write(self._guardian, leash.BEGUN)
        pid = os.fork()
        if pid == 0:
            targets = dict(zip(request.targets, passed, strict=True))
            inherited = Inherited(connection, directory, targets, self._last_words, slot)
            become_program(self._warm, program, request, inherited, client=client, server=server)
        call = Call(pid, client, connection, slot)
        self._calls[connection.fileno()] = self._running[pid] = call
        return call

    def _obey(self, call: Call) -> None:
        """Pass signals on; the end of the connection is the death of the client."""
        assert call.connection is not None  # noqa: S101 - it is what has become readable
        try:
            signals = call.connection.recv(64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            signals = b""
        for number in signals or (signal.SIGKILL, signal.SIGCONT):
            os.kill(call.pid, number)  # not reaped yet, so the id is still its own
        if not signals:
            self._forget_client(call)

    def _collect(self) -> None:
        """Hear the programs that are ending, reap those that have ended, and tell their clients."""
        for call in self._running.values():
            status = self._last_words.heard(call.slot)
            if status is not None:
                self._tell(call, status << 8)
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                call = self._running.pop(pid)
                self._tell(call, status)
                self._last_words.release(call.slot)

    def _tell(self, call: Call, status: int) -> None:
        """Once: its client, and the guardian."""
        if call.connection is not None:
            with suppress(ConnectionError):
                call.connection.send(ENDED + STATUS.pack(status))
            self._forget_client(call)
        if not call.told:
            os.write(self._guardian, leash.ENDED)
            call.told = True

    def _forget_client(self, call: Call) -> None:
        assert call.connection is not None  # noqa: S101 - it is forgotten once
        del self._calls[call.connection.fileno()]
        self._hang_up(call.connection)
        call.connection = None

    def _hang_up(self, connection: socket.socket) -> None:
        self._poller.unregister(connection)
        connection.close()

    def _follow_stops(self) -> None:
        """SIGSTOP cannot be caught and passed on: look."""
        for call in self._running.values():
            if call.told:  # its client's id may be another's by now
                continue
            fields = proc.stat_fields(call.client)
            stopped = bool(fields) and fields[0] in "Tt"
            if stopped != call.stopped:
                os.kill(call.pid, signal.SIGSTOP if stopped else signal.SIGCONT)
                call.stopped = stopped


def _peer(connection: socket.socket) -> int | None:
    """The client's process id; None for another user's, or one in another session, whose group no fork can join."""
    pid, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    try:
        return pid if user == os.getuid() and os.getsid(pid) == os.getsid(0) else None
    except ProcessLookupError:
        return None


def clients_of(environ: Mapping[str, str]) -> str | None:
    """The directory of clients that a step was told of, if it is there."""
    directory = environ.get(CLIENTS_VARIABLE)
    return directory if directory and Path(directory).is_dir() else None
