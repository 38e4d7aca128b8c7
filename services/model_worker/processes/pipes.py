"""Pipes between the supervisor's event loop and other processes, and descriptors sent over a socket."""

import asyncio
import os
import socket
from array import array
from asyncio import ReadTransport, StreamReader
from collections.abc import Sequence
from contextlib import suppress


async def open_reader(descriptor: int) -> tuple[StreamReader, ReadTransport]:
    """Read a pipe's end in the event loop.

    The transport owns the descriptor from here on, and closes it at the end of the pipe.
    """
    reader = StreamReader()
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), file
        )
    except BaseException:
        file.close()
        raise
    return reader, transport


async def send_descriptors(sock: socket.socket, byte: bytes, descriptors: Sequence[int]) -> None:
    """Send one byte and the descriptors with it over a non-blocking stream socket; one caller at a time per socket.

    Raises ConnectionError when the other end is gone.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]
    while True:
        try:
            sock.sendmsg([byte], rights, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            await _writable(sock)
        else:
            return


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, ready.set_result, None)  # called once: the callback below comes first
    ready.add_done_callback(lambda _: loop.remove_writer(sock))
    await ready


async def read_line(sock: socket.socket) -> bytes:
    """One line from a non-blocking socket on which lines do not follow each other; empty when the other end is gone."""
    line = b""
    with suppress(ConnectionError):
        while not line.endswith(b"\n"):
            data = await asyncio.get_running_loop().sock_recv(sock, 65536)
            if not data:
                return b""
            line += data
    return line


def memory_file(data: bytes) -> int:
    """Descriptor of an anonymous file that holds `data`: a request of any size in one message."""
    descriptor = os.memfd_create("request")
    with open(descriptor, "r+b", closefd=False) as file:
        file.write(data)
        file.flush()
        file.seek(0)
    return descriptor
