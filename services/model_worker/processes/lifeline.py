"""The supervisor's end of what it has with a guardian: a socket for commands one way and words the other."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from services.model_worker.processes.contract import START, Message, decode_message
from services.model_worker.processes.pipes import send_descriptors
from services.model_worker.processes.server_process import ServerProcess

_PATIENCE = 5.0


class Lifeline:
    """Made by `to_new_guardian`. Its end, which comes with this process's, ends the guardian and all it guards."""

    def __init__(self, server: ServerProcess, ours: socket.socket, words: StreamReader, stream: StreamWriter) -> None:
        self._server = server
        self._socket = ours  # beside the stream, which sends no descriptors
        self._words = words
        self._stream = stream

    @classmethod
    async def to_new_guardian(cls, server: ServerProcess) -> Self:
        """Have a guardian forked; one that is not is told of by the end of its words. Raises ForkServerDiedError."""
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            try:
                words, stream = await asyncio.open_unix_connection(sock=ours)
            except BaseException:
                ours.close()
                raise
            lifeline = cls(server, ours.dup(), words, stream)
            try:
                await server.request(theirs.fileno())
            except BaseException:
                lifeline.close()
                raise
        return lifeline

    @property
    def is_good(self) -> bool:
        """Whether the guardian may have another attempt: neither it nor the fork server is known to be gone.

        One without the fork server is nobody's child, and what it knows of the model may be older than the next ones'.
        """
        return self._server.lives and not self._words.at_eof() and self._words.exception() is None

    async def start(self, descriptors: Sequence[int]) -> None:
        """Hand an attempt over. Raises ConnectionError where the guardian is gone."""
        await send_descriptors(self._socket, START, descriptors)

    def command(self, command: bytes) -> None:
        """Write a command."""
        # The guardian is gone; or it has a socket full of the same to read.
        with suppress(ConnectionError, BlockingIOError):
            self._socket.send(command, socket.MSG_NOSIGNAL)

    async def said(self) -> tuple[Message | None, bytes]:
        """The guardian's next message, and what it was read from; None when it did not live to end a line."""
        try:
            line = await self._words.readline()
        except ConnectionError:  # it went with a command unread
            line = b""
        return (decode_message(line) if line.endswith(b"\n") else None), line

    async def end(self) -> None:
        """End a guardian that has no attempt, and wait until it is gone."""
        with suppress(OSError):  # it is gone already
            self._socket.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_PATIENCE):
                await self._words.read()
        self.close()

    def close(self) -> None:
        """Without waiting for what it ends."""
        with suppress(OSError):  # the guardian is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._stream.close()
