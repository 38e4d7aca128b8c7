"""One client of the queue status: told the newest snapshot, one at a time, and answered.

After each message comes a ping, and the next message waits for its answer. So a slow client has one message on the
way, never a backlog, and one that has gone, or never reads, is noticed.
"""

import asyncio
import logging
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from services.api.serialize.moments import moment
from services.api.websocket.hub import Hub
from services.api.websocket.questions import BadQuestion, NotJson, parse, read_question, refusal
from services.api.websocket.settings import WebsocketSettings
from services.api.websocket.snapshots import Snapshot, as_json

log = logging.getLogger(__name__)

NOT_JSON = 4011
"""The close code of the reference for a message that is no JSON."""


class QueueStatusClient:
    """Serves one connection."""

    def __init__(self, connection: ServerConnection, hub: Hub, settings: WebsocketSettings) -> None:
        self._connection = connection
        self._hub = hub
        self._settings = settings

    async def serve(self) -> None:
        """Until the connection ends, or cannot go on."""
        try:
            with self._hub.listening():
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._tell())
                    both.create_task(self._hear())
        except* ConnectionClosed:
            pass
        except* NotJson:
            await self._connection.close(NOT_JSON, "this is not JSON")
        except* TimeoutError:
            log.info("A client does not read", extra={"client": self._connection.remote_address})
            self._connection.transport.abort()
        except* SQLAlchemyError as errors:
            # Not a clean close: worker controllers would take that for the end of their work.
            log.warning("Cannot tell a client the status", extra={"reason": str(errors.exceptions[0])})
            await self._connection.close(CloseCode.TRY_AGAIN_LATER, "the database does not answer")

    async def _tell(self) -> None:
        snapshot: Snapshot | None = await self._hub.current()
        version = 0
        while True:
            async with asyncio.timeout(self._settings.patience):
                if snapshot is not None:
                    version = snapshot.version
                    await self._connection.send(snapshot.text)
                await (await self._connection.ping())
            snapshot = await self._hub.newer_than(version, within=self._settings.ping_every)

    async def _hear(self) -> None:
        while True:
            text = await self._connection.recv()
            await self._connection.send(await self._answer(text))
            # Whoever asks without a pause is answered no faster than all others are told.
            await asyncio.sleep(self._settings.pace)

    async def _answer(self, text: str | bytes) -> str:
        try:
            wanted = read_question(parse(text))
        except BadQuestion as error:
            return as_json(refusal(error, moment(datetime.now(UTC))))
        return (await self._hub.current()).filtered(wanted.analyses)
