"""The fork server's process, from the supervisor's side."""

import asyncio
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from services.model_worker.processes.contract import Failed, Ready, decode_message, server_arguments
from services.model_worker.processes.errors import ForkServerDiedError, ForkServerFailedError
from services.model_worker.processes.pipes import read_line, send_descriptors
from services.model_worker.warm.environment import CHOSEN
from services.model_worker.warm.title import ROOM

LOGGER = logging.getLogger(__name__)

_PROGRAM = "services.model_worker.processes.fork_server"
_PATIENCE = 5.0
_STDERR = 2


class ServerProcess:
    """One fork server. Made by `launch`."""

    def __init__(self, process: Process, sock: socket.socket) -> None:
        self._process = process
        self._socket = sock
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it is not known to have ended."""
        return self._process.returncode is None

    @classmethod
    async def launch(cls, preload: Sequence[str], environ: Mapping[str, str]) -> Self:
        """Start it and wait for its imports.

        Raises ForkServerFailedError or ForkServerDiedError, and leaves nothing behind then.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                process = await _spawn(theirs, preload, environ)
            except BaseException:
                ours.close()
                raise
        server = cls(process, ours)
        try:
            await server._greeted()
        except BaseException:
            await server.close(patience=0)
            raise
        return server

    async def _greeted(self) -> None:
        line = await read_line(self._socket)
        message = decode_message(line) if line else None
        if isinstance(message, Failed):
            raise ForkServerFailedError(message.reason)
        if not isinstance(message, Ready):
            raise ForkServerDiedError
        LOGGER.info("The fork server is ready.", extra={"pid": message.pid, "seconds": round(message.seconds, 3)})

    async def request(self, lifeline: int) -> None:
        """Have a guardian forked that has this end of a lifeline. Raises ForkServerDiedError."""
        async with self._turn:
            if self._socket.fileno() < 0:  # closed since by another start, which has seen the death first
                raise ForkServerDiedError
            try:
                await send_descriptors(self._socket, b".", (lifeline,))
            except ConnectionError as error:
                raise ForkServerDiedError from error

    async def close(self, patience: float = _PATIENCE) -> None:
        """End it (attempts that it started go on) and wait until it is gone; kill it after `patience` seconds."""
        async with self._turn:  # never under a request: its wait for the socket would not end
            self._socket.close()
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def _spawn(theirs: socket.socket, preload: Sequence[str], environ: Mapping[str, str]) -> Process:
    arguments = server_arguments(theirs.fileno(), os.getpid(), preload)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _PROGRAM, *arguments, ROOM),
        stdin=DEVNULL,
        stdout=_STDERR,
        env={**environ, **CHOSEN},
        pass_fds=(theirs.fileno(),),
        start_new_session=True,  # a Ctrl-C at the supervisor's terminal is the supervisor's to answer
    )
