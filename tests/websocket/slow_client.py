"""A client that does what it likes: reads when it wants to, and answers pings when it wants to."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.websocket.serving import PATIENCE, QUEUE_STATUS, Serving


class SlowClient:
    """The protocol without a loop that reads; enter it, then `hear` and `answer_pings` by hand."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._protocol = ClientProtocol(parse_uri(serving.url(QUEUE_STATUS)))

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._serving.port, limit=4096)
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {self._serving.token}"
        self._protocol.send_request(request)
        self.answer_pings()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._writer.transport.abort()

    async def hear(self) -> Any:
        """The next message. What the protocol would answer waits."""
        while True:
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    return json.loads(event.data)
            self._protocol.receive_data(await asyncio.wait_for(self._reader.read(65536), PATIENCE))

    async def hears_within(self, seconds: float) -> Any | None:
        """The next message, or None."""
        try:
            return await asyncio.wait_for(self.hear(), seconds)
        except TimeoutError:
            return None

    def answer_pings(self) -> None:
        """Send what the protocol has to say."""
        for data in self._protocol.data_to_send():
            self._writer.write(data)

    async def until_cut_off(self) -> None:
        """Return when the server has ended the connection."""
        while await asyncio.wait_for(self._reader.read(65536), PATIENCE):
            continue
