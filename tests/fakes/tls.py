"""Certificates as `make up TLS=1` makes them, and a server that speaks TLS in the place of one that does not."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "compose" / "make_certificates.py"
_CHUNK = 65536


@dataclass(frozen=True)
class Certificates:
    """What the script has made: `public` is for 127.0.0.1 and localhost, `rabbitmq` for that name only."""

    folder: Path

    @property
    def authorities(self) -> str:
        """The file that those who trust them name."""
        return str(self.folder / "authorities")

    def server(self, name: str = "public") -> ssl.SSLContext:
        """For a server that shows one of them."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / f"certificate_{name}", self.folder / f"key_{name}")
        return context


def make_certificates(folder: Path) -> Certificates:
    """A new authority in a folder that is there, and certificates of it."""
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True)
    return Certificates(folder)


@contextmanager
def tls_in_front_of(host: str, port: int, context: ssl.SSLContext) -> Iterator[int]:
    """The port of this machine at which TLS leads to a server without it."""
    loop = asyncio.new_event_loop()
    listening: asyncio.Future[int] = loop.create_future()
    over = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_serve(host, port, context, listening, over),))
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_wait(listening), loop).result(10)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


async def _wait(listening: asyncio.Future[int]) -> int:
    return await listening


async def _serve(
    host: str, port: int, context: ssl.SSLContext, listening: asyncio.Future[int], over: asyncio.Event
) -> None:
    writers: set[asyncio.StreamWriter] = set()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, port)
        writers.update((writer, there_writer))
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        writers.difference_update((writer, there_writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0, ssl=context)
    listening.set_result(server.sockets[0].getsockname()[1])
    await over.wait()
    server.close()
    for writer in writers:
        with suppress(AttributeError):  # Debian 12's Python stumbles over the end of a TLS connection that is lost
            writer.transport.abort()  # a polite end would wait for the other one's
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
