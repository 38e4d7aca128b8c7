"""Looks at the database while anybody listens: when NOTIFY says that something was requested or handed out, and every
half second for what nobody tells of (claims, completions, workers). Runs in a thread of its own.
"""

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.api.websocket.hub import Hub
from services.api.websocket.settings import WebsocketSettings
from services.api.websocket.snapshots import Snapshot, read_snapshot
from shared.broker.delays import backoff
from shared.database.outbox import CHANNEL
from shared.database.sessions import listen

log = logging.getLogger(__name__)

_REST = 4
"""How many times as long as a look takes the watch rests at least: the database is for work first."""


class Watch:
    """Publishes a snapshot when its content has changed, or the last one is old. `publish` is called in our thread."""

    def __init__(
        self, engine: Engine, hub: Hub, settings: WebsocketSettings, publish: Callable[[Snapshot], None]
    ) -> None:
        self._engine = engine
        self._hub = hub
        self._settings = settings
        self._publish = publish
        self.problem: str | None = "the database has not answered yet"
        """Why nothing is seen, or None."""

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set; while the database is away, or has no tables yet, clients keep what they have."""
        delays = backoff()
        while not stopping.is_set():
            try:
                with listen(self._engine, CHANNEL, "lossline-websocket") as listening:
                    self._look()  # whoever can listen may still find no tables
                    self.problem = None
                    delays = backoff()
                    self._follow(listening, stopping)
            except (SQLAlchemyError, psycopg.Error) as error:
                self.problem = "the database cannot be read"
                log.warning("Cannot look at the queues", extra={"reason": str(error)})
                stopping.wait(next(delays))

    def _follow(self, listening: psycopg.Connection[Any], stopping: Event) -> None:
        settings = self._settings
        while not stopping.is_set():
            began = time.monotonic()
            if self._hub.listeners:
                self._look()
            stopping.wait(max(settings.pace, _REST * (time.monotonic() - began)))
            left = max(0.0, began + settings.look_every - time.monotonic())
            for _ in listening.notifies(timeout=left, stop_after=1):
                continue

    def _look(self) -> None:
        snapshot, known = read_snapshot(self._engine), self._hub.newest
        if known is None or known.content != snapshot.content or self._is_old(known, snapshot):
            self._publish(snapshot)

    def _is_old(self, known: Snapshot, snapshot: Snapshot) -> bool:
        return (snapshot.status.time - known.status.time).total_seconds() >= self._settings.repeat_every
