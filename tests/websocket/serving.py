"""A websocket server in the test's own event loop, and clients of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from services.api.oidc.provider import Provider, open_provider
from services.api.websocket.server import WebsocketServer
from services.api.websocket.settings import WebsocketSettings
from shared.database.engine import open_engine

PATIENCE = 30.0
"""Seconds."""
QUEUE_STATUS = "/ws/v2/queue-status/"


@dataclass(frozen=True)
class Serving:
    """A running server and a token that it takes."""

    server: WebsocketServer
    port: int
    token: str

    def url(self, path: str = QUEUE_STATUS) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def client(self, path: str = QUEUE_STATUS, authorization: str | None = None, **more: Any) -> connect:
        """A connection to be entered; with the good token unless told otherwise."""
        header = {"Authorization": f"Bearer {self.token}" if authorization is None else authorization}
        return connect(self.url(path), additional_headers=header, ping_interval=None, proxy=None, **more)


@asynccontextmanager
async def serving(settings: WebsocketSettings, token: str) -> AsyncIterator[Serving]:
    """Serve while inside."""
    with ExitStack() as resources:
        provider = open_provider(settings.auth.oidc, resources)
        async with _serving(settings, token, provider) as running:
            yield running


@asynccontextmanager
async def _serving(settings: WebsocketSettings, token: str, provider: Provider | None) -> AsyncIterator[Serving]:
    engine = open_engine(settings.database, name="websocket", pool_size=4)
    server, stopping = WebsocketServer(engine, settings, provider), asyncio.Event()
    running = asyncio.create_task(server.run(stopping))
    try:
        await until(lambda: running.done() or (server.port is not None and server.problem() is None), "it serves")
        assert not running.done(), running.exception()
        assert server.port is not None
        yield Serving(server, server.port, token)
    finally:
        stopping.set()
        await asyncio.wait_for(running, PATIENCE)
        engine.dispose()


async def heard(client: ClientConnection) -> Any:
    """The next message."""
    return json.loads(await asyncio.wait_for(client.recv(), PATIENCE))


async def heard_until(client: ClientConnection, condition: Callable[[Any], object]) -> list[Any]:
    """The messages up to the first one of which the condition holds."""
    messages = [await heard(client)]
    while not condition(messages[-1]):
        messages.append(await heard(client))
    return messages


def queue_of(message: Any, name: str) -> Any:
    """What a message says of a queue; None if nothing."""
    return next((each for each in message["content"] if each["queue"]["name"] == name), None)


async def until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail the test when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it never came that {what}"
        await asyncio.sleep(0.01)
