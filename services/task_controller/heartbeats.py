"""Heartbeats: they keep the registry of workers, renew the leases that they list, and answer for those that ended."""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import random
from threading import Event
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from services.task_controller.handlers import Reply, verdict
from services.task_controller.intake import send_replies
from services.task_controller.settings import Settings
from shared import names
from shared.broker.delays import backoff
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery
from shared.codec import Unreadable
from shared.core.states import LIVE_ATTEMPTS, AttemptState, RunState
from shared.database.execution import Attempt, Canary, Run, SubTask, Worker
from shared.database.settlement import places_of, settle
from shared.database.transactions import in_working_set
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptRefused,
    CanarySent,
    StopRun,
    WorkerBeat,
)
from shared.messages.envelope import decode
from shared.messages.parking import parked

log = logging.getLogger(__name__)

_BATCH = 200


class Heartbeats:
    """Consumes the heartbeat queue until told to stop."""

    def __init__(self, engine: Engine, broker: BrokerPort, settings: Settings) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings
        self.consumer = broker.consume(names.HEARTBEAT_QUEUE, prefetch=2 * _BATCH)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        delays = backoff()
        while not stopping.is_set():
            deliveries = self.consumer.take(_BATCH, timeout=0.5)
            if not deliveries:
                continue
            try:
                self.handle(deliveries)
                delays = backoff()
            except (OperationalError, BrokerUnavailable) as error:
                log.warning("Cannot take heartbeats; they go back", extra={"reason": str(error)})
                self.consumer.nack(deliveries)
                stopping.wait(next(delays))

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Take heartbeats and canaries into account, then acknowledge them."""
        messages = [message for delivery in deliveries if (message := self._read(delivery)) is not None]
        beats = {message.worker_id: message for message in messages if isinstance(message, WorkerBeat)}
        replies = self._renew(list(beats.values())) + self._settle(
            [f for beat in beats.values() for f in beat.finished]
        )
        self._note_canaries([message for message in messages if isinstance(message, CanarySent)])
        send_replies(self._broker.publish_unconfirmed, replies)
        self.consumer.ack(deliveries)

    def _read(self, delivery: Delivery) -> WorkerBeat | CanarySent | None:
        try:
            message = decode(delivery.body)
        except Unreadable as error:
            self._park(delivery, str(error))
            return None
        if isinstance(message, WorkerBeat | CanarySent):
            return message
        self._park(delivery, f"{type(message).__name__} is no heartbeat")
        return None

    def _park(self, delivery: Delivery, reason: str) -> None:
        log.error("Parked a message", extra={"reason": reason, "queue": names.HEARTBEAT_QUEUE})
        self._broker.publish([parked(delivery.body, names.HEARTBEAT_QUEUE, reason)])

    def _renew(self, beats: Sequence[WorkerBeat]) -> list[Reply]:
        if not beats:
            return []
        with self._engine.begin() as connection:
            _register(connection, beats)
            listed = {beat.attempt_id: each.worker_id for each in beats for beat in each.running}
            _renew_leases(connection, listed, self._settings.lease)
            _note_progress(connection, beats)
            return list(_answers(connection, listed))

    def _settle(self, reports: Sequence[AttemptFinished]) -> list[Reply]:
        """A finished attempt stays in the heartbeat until it is answered: its report may have been lost."""
        if not reports:
            return []

        def work(working_set: WorkingSet) -> dict[UUID, str | None]:
            places = places_of(working_set.connection, [report.attempt_id for report in reports])
            working_set.lock(place.run_id for place in places.values())
            verdicts = settle(working_set, reports, places, random)
            working_set.flush()
            return verdicts

        verdicts = in_working_set(self._engine, self._settings.policy, work)
        return [verdict(report, verdicts[report.attempt_id]) for report in reports]

    def _note_canaries(self, canaries: Iterable[CanarySent]) -> None:
        newest = {canary.reaper_id: canary.value for canary in canaries}
        if newest:
            rows = [{"reaper_id": reaper, "value": value} for reaper, value in newest.items()]
            statement = insert(Canary).values(rows)
            upsert = statement.on_conflict_do_update(
                index_elements=["reaper_id"], set_={"value": statement.excluded.value}
            )
            with self._engine.begin() as connection:
                connection.execute(upsert)


def _register(connection: Connection, beats: Sequence[WorkerBeat]) -> None:
    rows = [
        {
            "worker_id": beat.worker_id,
            "queue": beat.queue,
            "host": beat.host,
            "slots": beat.slots,
            "free_slots": beat.free_slots,
            "draining": beat.draining,
        }
        for beat in sorted(beats, key=lambda beat: beat.worker_id)
    ]
    statement = insert(Worker).values(rows)
    news: dict[str, Any] = {name: statement.excluded[name] for name in ("free_slots", "draining", "slots")}
    news |= {"last_seen": func.now(), "beats": Worker.beats + 1}
    connection.execute(statement.on_conflict_do_update(index_elements=["worker_id"], set_=news))


def _renew_leases(connection: Connection, listed: dict[UUID, str], lease: float) -> None:
    """Renew only what is listed by the worker that holds it."""
    live = Attempt.state.in_(sorted(LIVE_ATTEMPTS))
    held = select(Attempt.attempt_id, Attempt.worker_id).where(Attempt.attempt_id.in_(sorted(listed)), live)
    rows = connection.execute(held.order_by(Attempt.attempt_id).with_for_update())
    renewed = [row.attempt_id for row in rows if listed[row.attempt_id] == row.worker_id]
    values: dict[str, Any] = {"state": AttemptState.RUNNING, "renewals": Attempt.renewals + 1}
    until = func.now() + timedelta(seconds=lease)
    connection.execute(update(Attempt).where(Attempt.attempt_id.in_(renewed)).values(lease_until=until, **values))


def _note_progress(connection: Connection, beats: Sequence[WorkerBeat]) -> None:
    """Progress belongs to the newest attempt and never goes backwards within it."""
    rows = [
        {"b_attempt": each.attempt_id, "b_total": each.events_total, "b_complete": each.events_complete}
        for beat in beats
        for each in beat.running
        if each.events_total or each.events_complete
    ]
    if rows:
        of_newest = SubTask.attempt_id == bindparam("b_attempt")
        values: dict[str, Any] = {"events_total": bindparam("b_total"), "events_complete": bindparam("b_complete")}
        connection.execute(update(SubTask).where(of_newest).values(**values), rows)


def _answers(connection: Connection, listed: dict[UUID, str]) -> Iterable[Reply]:
    """What workers must hear of the attempts that they list: those that ended, were replaced, or whose run stops."""
    columns = (
        Attempt.attempt_id,
        Attempt.state,
        SubTask.attempt_id.label("newest"),
        Run.state.label("run"),
        Run.run_uuid,
    )
    query = select(*columns).join(SubTask, SubTask.id == Attempt.sub_task_id).join(Run, Run.id == Attempt.run_id)
    rows = {row.attempt_id: row for row in connection.execute(query.where(Attempt.attempt_id.in_(sorted(listed))))}
    for attempt_id, worker_id in listed.items():
        row = rows.get(attempt_id)
        if row is None:
            yield Reply(worker_id, AttemptRefused(attempt_id, "this attempt is not known"))
        elif row.newest != attempt_id:
            yield Reply(worker_id, AttemptRefused(attempt_id, "a newer attempt has been granted"))
        elif row.run in (RunState.CANCELLING, RunState.FAILING):
            yield Reply(worker_id, StopRun(row.run_uuid))
        elif row.run != RunState.ACTIVE or row.state == AttemptState.COMPLETED:
            yield Reply(worker_id, AttemptRefused(attempt_id, f"the attempt is {row.state}, its run {row.run}"))
