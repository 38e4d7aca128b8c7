"""The reaper: one at a time, by an advisory lock. It proposes; the decision on the run's facts disposes."""

import logging
import time
from collections import deque
from collections.abc import Sequence
from random import random
from threading import Event
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import OperationalError

from services.task_controller.metrics import Counted
from services.task_controller.reaper import Watch
from services.task_controller.settings import Settings
from shared import names
from shared.broker.errors import BrokerError
from shared.broker.port import BrokerPort, OutgoingMessage
from shared.core.retries import Cause
from shared.core.states import LIVE_ATTEMPTS
from shared.database.execution import Attempt, Canary
from shared.database.settlement import places_of, settle
from shared.database.transactions import in_working_set
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import AttemptFinished, CanarySent
from shared.messages.envelope import encode

log = logging.getLogger(__name__)

_LOCK = 7_145_001
_GAPS = 4
"""Looks that may be missed before the watch starts anew."""


class Reaper:
    """Looks every second; gives up attempts whose workers have gone silent."""

    def __init__(self, engine: Engine, broker: BrokerPort, settings: Settings, counted: Counted | None = None) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings
        self._counted = counted or Counted()
        self._id = uuid4().hex
        self._canaries: deque[tuple[int, float]] = deque(maxlen=64)
        self._watch: Watch[UUID] = Watch(settings.lease, _GAPS * settings.reaper_looks_every)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        while not stopping.is_set():
            try:
                with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    # Out of the pool: closing it must end the session, and with the session its advisory lock.
                    connection.detach()
                    self._reign(connection, stopping)
            except (OperationalError, BrokerError) as error:
                log.warning("The reaper starts its watch anew", extra={"reason": str(error)})
                self._watch.restart()
                stopping.wait(self._settings.reaper_looks_every)

    def _reign(self, connection: Connection, stopping: Event) -> None:
        while not stopping.is_set():
            if not connection.execute(select(func.pg_try_advisory_lock(_LOCK))).scalar_one():
                stopping.wait(self._settings.reaper_looks_every)
                continue
            self._watch.restart()
            while not stopping.wait(self._settings.reaper_looks_every):
                self.look(connection)

    def look(self, connection: Connection) -> None:
        """Send a canary, look at every live attempt, give up those that have stood still for a lease."""
        now = time.monotonic()
        age = self._canary_age(connection, now)
        self._send_canary(now)
        live = select(Attempt.attempt_id, Attempt.renewals).where(Attempt.state.in_(sorted(LIVE_ATTEMPTS)))
        renewals = {row.attempt_id: row.renewals for row in connection.execute(live)}
        silent = self._watch.look(now, age, renewals)
        if silent:
            self._give_up(silent)

    def _send_canary(self, now: float) -> None:
        value = self._canaries[-1][0] + 1 if self._canaries else 1
        self._canaries.append((value, now))
        body = encode(CanarySent(self._id, value))
        self._broker.publish_unconfirmed([OutgoingMessage("", names.HEARTBEAT_QUEUE, body, persistent=False)])

    def _canary_age(self, connection: Connection, now: float) -> float:
        value = connection.execute(select(Canary.value).where(Canary.reaper_id == self._id)).scalar_one_or_none()
        return next((now - sent for number, sent in self._canaries if number == value), float("inf"))

    def _give_up(self, attempt_ids: Sequence[UUID]) -> None:
        text = f"its worker was silent for {self._settings.lease:g} s"
        reports = [AttemptFinished(attempt_id, "", Cause.LOST, text) for attempt_id in attempt_ids]

        def work(working_set: WorkingSet) -> list[Cause]:
            places = places_of(working_set.connection, attempt_ids)
            working_set.lock(place.run_id for place in places.values())
            settle(working_set, reports, places, random)
            working_set.flush()
            return working_set.retried

        self._counted.retried_of(in_working_set(self._engine, self._settings.policy, work))
        self._counted.expired.add(by=len(attempt_ids))
        log.warning("Gave up silent attempts", extra={"attempts": [str(each) for each in attempt_ids]})
