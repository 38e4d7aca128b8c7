"""The server: admission, clients, the watch, health.

Order of shutdown: no client is let in; all get the close code 1012 (service restart), after which they connect again;
who does not answer is cut off; the watch ends; the database's connections close.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from threading import Event

from sqlalchemy import Engine
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from services.api.oidc.provider import Provider, open_provider
from services.api.websocket.admission import Admission, Place, place_of
from services.api.websocket.clients import QueueStatusClient
from services.api.websocket.hub import Hub
from services.api.websocket.reporters import take_reports
from services.api.websocket.settings import WebsocketSettings
from services.api.websocket.snapshots import Snapshot, read_snapshot
from services.api.websocket.watch import Watch
from shared.database.engine import open_engine
from shared.metrics import Gauge, Metric
from shared.service import serve_health

log = logging.getLogger(__name__)

CLIENTS = Metric("lossline_websocket_clients", "Clients that are told the queue status.")

_LONGEST_MESSAGE = 64 * 1024
"""Bytes that a client may say at once."""
_FAREWELL = 5.0
"""Seconds that a client has to answer the closing of its connection."""
_POOL = 8


class WebsocketServer:
    """Serves connections, and watches the database for them."""

    def __init__(self, engine: Engine, settings: WebsocketSettings, provider: Provider | None = None) -> None:
        self._engine = engine
        self._provider = provider
        self._settings = settings
        self.hub = Hub(partial(read_snapshot, engine))
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(engine, self.hub, settings, self._publish)
        self._connections: set[ServerConnection] = set()
        self.port: int | None = None
        """Where it listens, once it does."""

    def problem(self) -> str | None:
        """Why it is not well, or None."""
        return self._watch.problem

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set. Raises OSError where the address cannot be listened on."""
        end_of_watch = Event()
        async with self._listening():
            watching = asyncio.create_task(asyncio.to_thread(self._watch.run, end_of_watch))
            stopped = asyncio.create_task(stopping.wait())
            try:
                await asyncio.wait((watching, stopped), return_when=asyncio.FIRST_COMPLETED)
            finally:
                end_of_watch.set()
                stopped.cancel()
                await watching

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[Server]:
        settings = self._settings
        server = await serve(
            self._serve,
            settings.host,
            settings.port,
            process_request=Admission(self._engine, settings, self.problem, self._provider),
            # Pings are ours: those of the library wait behind what a client does not read.
            ping_interval=None,
            compression=None,
            max_size=_LONGEST_MESSAGE,
            max_queue=4,
            close_timeout=_FAREWELL,
            server_header=None,
        )
        self.port = int(server.sockets[0].getsockname()[1])
        log.info("Serving", extra={"host": settings.host, "port": self.port})
        try:
            yield server
        finally:
            server.close(code=CloseCode.SERVICE_RESTART, reason="the server stops")
            self._loop.call_later(_FAREWELL, self._cut_off)
            await server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        try:
            path = connection.request.path if connection.request else ""
            if place_of(path) is Place.QUEUE_STATUS:
                await QueueStatusClient(connection, self.hub, self._settings).serve()
            else:
                await take_reports(connection, self._engine)
        except ConnectionClosed:
            pass
        except Exception:
            log.exception("A connection failed", extra={"client": connection.remote_address})
            await connection.close(CloseCode.INTERNAL_ERROR)
        finally:
            self._connections.discard(connection)

    def _publish(self, snapshot: Snapshot) -> None:
        """Called in the thread of the watch."""
        self._loop.call_soon_threadsafe(self.hub.publish, snapshot)

    def _cut_off(self) -> None:
        for connection in self._connections:
            connection.transport.abort()


async def serve_until_stopped(settings: WebsocketSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError where the address cannot be listened on."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with ExitStack() as resources:
        engine = open_engine(settings.database, name="lossline-websocket", pool_size=_POOL)
        resources.callback(engine.dispose)
        server = WebsocketServer(engine, settings, open_provider(settings.auth.oidc, resources))
        listeners = Gauge(CLIENTS, lambda: {(): server.hub.listeners})
        with serve_health(settings.health_port, server.problem, settings.health_host, (listeners,)):
            await server.run(stopping)
        log.info("Stopped")
