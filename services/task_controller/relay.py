"""The relay: publishes every outbox row, confirmed, and marks it sent. NOTIFY wakes it; a row may wait for its time."""

import logging
from collections.abc import Sequence
from threading import Event
from typing import Any

import psycopg
from sqlalchemy import Engine, Row, func, or_, select, update
from sqlalchemy.exc import OperationalError

from shared.broker.delays import backoff
from shared.broker.errors import BrokerError
from shared.broker.port import BrokerPort, Outcome, OutgoingMessage
from shared.broker.topology import QueueSpec, Topology
from shared.database.execution import Outbox
from shared.database.outbox import CHANNEL
from shared.database.sessions import listen
from shared.topology import PLATFORM, work_queue

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 200
_LOOK_EVERY = 1.0


class Relay:
    """Publishes until told to stop. Several may run: each takes rows that no other has."""

    def __init__(self, engine: Engine, broker: BrokerPort) -> None:
        self._engine = engine
        self._broker = broker

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        delays = backoff()
        while not stopping.is_set():
            try:
                with listen(self._engine, CHANNEL, "lossline-relay") as listening:
                    self._follow(listening, stopping)
                    delays = backoff()
            except (OperationalError, psycopg.OperationalError, BrokerError) as error:
                log.warning("The relay waits", extra={"reason": str(error)})
                stopping.wait(next(delays))

    def relay_once(self) -> int:
        """Publish the rows that are due and unsent. Returns how many there were."""
        with self._engine.begin() as connection:
            due = or_(Outbox.not_before.is_(None), Outbox.not_before <= func.now())
            query = select(Outbox.__table__).where(Outbox.sent_at.is_(None), due).order_by(Outbox.id)
            rows = connection.execute(query.limit(_ROWS_AT_ONCE).with_for_update(skip_locked=True)).all()
            sent = self._publish(rows)
            if sent:
                connection.execute(update(Outbox).where(Outbox.id.in_(sent)).values(sent_at=func.now()))
            return len(rows)

    def _follow(self, listening: psycopg.Connection[Any], stopping: Event) -> None:
        while not stopping.is_set():
            while self.relay_once() == _ROWS_AT_ONCE:
                continue
            for _ in listening.notifies(timeout=_LOOK_EVERY, stop_after=1):
                continue

    def _publish(self, rows: Sequence[Row[Any]]) -> list[int]:
        """Publish the copies of every row. Returns the ids of the rows that need no repeating."""
        messages = [_message(row) for row in rows for _ in range(row.copies)]
        if not messages:
            return []
        left = self._publish_all(messages)
        missing = [message for message, outcome in left if _is_missing(message, outcome)]
        if missing:
            self._declare({message.routing_key for message in missing})
            left = [each for each in left if not _is_missing(*each)] + self._publish_all(missing)
        lost = {message.headers["outbox"] for message, _ in left}
        return [row.id for row in rows if str(row.id) not in lost]

    def _publish_all(self, messages: Sequence[OutgoingMessage]) -> list[tuple[OutgoingMessage, Outcome]]:
        """Publish. Returns what must be repeated, with what became of it."""
        results = self._broker.publish(messages)
        outcomes = ((message, result.outcome) for message, result in zip(messages, results, strict=True))
        return [(message, outcome) for message, outcome in outcomes if _is_to_repeat(message, outcome)]

    def _declare(self, queues: set[str]) -> None:
        """A queue of tokens must be there before any worker has connected; ours may have been wiped."""
        log.info("Declaring queues", extra={"queues": sorted(queues)})
        self._broker.declare(Topology(queues=tuple(_queue(name) for name in sorted(queues))))


def _queue(name: str) -> QueueSpec:
    return next((queue for queue in PLATFORM.queues if queue.name == name), work_queue(name))


def _message(row: Row[Any]) -> OutgoingMessage:
    return OutgoingMessage(
        row.exchange,
        row.routing_key,
        row.body,
        priority=row.priority,
        mandatory=row.mandatory,
        headers={"outbox": str(row.id)},
    )


def _is_missing(message: OutgoingMessage, outcome: Outcome) -> bool:
    return outcome is Outcome.RETURNED and message.exchange == ""


def _is_to_repeat(message: OutgoingMessage, outcome: Outcome) -> bool:
    return outcome is not Outcome.CONFIRMED and (message.mandatory or outcome is not Outcome.RETURNED)
