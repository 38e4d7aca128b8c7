"""Heartbeats: they keep the registry of workers, renew the leases that they list, and answer for those that ended."""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from services.task_controller.committing import commit
from services.task_controller.handlers import Reply
from services.task_controller.intake import send_replies
from services.task_controller.metrics import Counted
from services.task_controller.settings import Settings
from shared import names
from shared.broker.delays import backoff
from shared.broker.errors import BrokerError, BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery
from shared.codec import Unreadable
from shared.core.states import LIVE_ATTEMPTS, AttemptState, RunState, SubTaskState
from shared.database.execution import Attempt, Canary, Run, SubTask, Worker
from shared.messages.catalogue import (
    AttemptBeat,
    AttemptRefused,
    BeatAnswered,
    CanarySent,
    Message,
    StopRun,
    WorkerBeat,
)
from shared.messages.envelope import decode, encode
from shared.messages.parking import park

log = logging.getLogger(__name__)

_BATCH = 200
_PROGRESS = ("events_total", "events_complete")


class Heartbeats:
    """Consumes the heartbeat queue until told to stop."""

    def __init__(self, engine: Engine, broker: BrokerPort, settings: Settings, counted: Counted | None = None) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings
        self._counted = counted or Counted()
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
        self._take([message for delivery in deliveries if (message := self._read(delivery)) is not None])
        self.consumer.ack(deliveries)

    def _take(self, messages: Sequence[WorkerBeat | CanarySent]) -> None:
        """All at once, else one by one: a heartbeat that cannot be handled must not stop those of the others."""
        try:
            self._handle(messages)
        except (OperationalError, BrokerError):
            raise
        except Exception:
            if len(messages) > 1:
                for message in messages:
                    self._take([message])
                return
            log.exception("A heartbeat cannot be handled")
            self._park(encode(messages[0]), "it cannot be handled; see the log of the task controller")

    def _handle(self, messages: Sequence[WorkerBeat | CanarySent]) -> None:
        beats = {message.worker_id: message for message in messages if isinstance(message, WorkerBeat)}
        replies = self._renew(list(beats.values()))
        # A finished attempt stays in the heartbeat until it is answered: its report may have been lost.
        finished = [report for beat in beats.values() for report in beat.finished]
        replies += commit(self._engine, self._settings, finished, self._aside, self._counted)
        self._note_canaries([message for message in messages if isinstance(message, CanarySent)])
        replies += [Reply(each, BeatAnswered(each)) for each, beat in beats.items() if beat.running]
        send_replies(self._broker.publish_unconfirmed, replies)

    def _read(self, delivery: Delivery) -> WorkerBeat | CanarySent | None:
        try:
            message = decode(delivery.body)
        except Unreadable as error:
            self._park(delivery.body, str(error), delivery)
            return None
        if isinstance(message, WorkerBeat | CanarySent):
            return message
        self._park(delivery.body, f"{type(message).__name__} is no heartbeat", delivery)
        return None

    def _aside(self, report: Message, reason: str) -> None:
        self._park(encode(report), reason)

    def _park(self, body: bytes, reason: str, original: Delivery | None = None) -> None:
        log.error("Parked a message", extra={"reason": reason, "queue": names.HEARTBEAT_QUEUE})
        park(self._broker, body, names.HEARTBEAT_QUEUE, reason, original)

    def _renew(self, beats: Sequence[WorkerBeat]) -> list[Reply]:
        if not beats:
            return []
        with self._engine.begin() as connection:
            _register(connection, beats)
            listed = {beat.attempt_id: each.worker_id for each in beats for beat in each.running}
            _note_progress(connection, beats)
            _renew_leases(connection, listed, self._settings.lease)
            return list(_answers(connection, listed))

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
            "fleet_name": beat.fleet_name,
        }
        for beat in sorted(beats, key=lambda beat: beat.worker_id)
    ]
    statement = insert(Worker).values(rows)
    news: dict[str, Any] = {name: statement.excluded[name] for name in ("free_slots", "draining", "slots")}
    news |= {"last_seen": func.now(), "beats": Worker.beats + 1}
    connection.execute(statement.on_conflict_do_update(index_elements=["worker_id"], set_=news))


def _note_progress(connection: Connection, beats: Sequence[WorkerBeat]) -> None:
    """The newest attempt alone is counted, and its sub-task keeps the furthest of all: progress never goes backwards.

    Rows that a decision has locked are left out, here and for the leases: heartbeats wait for nobody, and another
    one comes soon.
    """
    told = {each.attempt_id: each for beat in beats for each in beat.running if each.events_total}
    if not told:
        return
    is_newest = (Attempt.sub_task_id == SubTask.id) & (Attempt.attempt_id == SubTask.attempt_id)
    query = select(SubTask.id, SubTask.attempt_id).join(Attempt, is_newest).order_by(SubTask.id)
    running = query.where(Attempt.attempt_id.in_(sorted(told)), SubTask.state == SubTaskState.STARTED)
    free = connection.execute(running.with_for_update(of=SubTask, key_share=True, skip_locked=True)).all()
    rows = [{"b_id": row.id, **_progress_of(told[row.attempt_id])} for row in free]
    if rows:
        furthest = {name: func.greatest(SubTask.__table__.c[name], bindparam(f"b_{name}")) for name in _PROGRESS}
        connection.execute(update(SubTask).where(SubTask.id == bindparam("b_id")).values(**furthest), rows)


def _progress_of(beat: AttemptBeat) -> dict[str, int]:
    return {f"b_{name}": getattr(beat, name) for name in _PROGRESS}


def _renew_leases(connection: Connection, listed: dict[UUID, str], lease: float) -> None:
    """Renew only what is listed by the worker that holds it."""
    live = Attempt.state.in_(sorted(LIVE_ATTEMPTS))
    held = select(Attempt.attempt_id, Attempt.worker_id).where(Attempt.attempt_id.in_(sorted(listed)), live)
    rows = connection.execute(held.order_by(Attempt.attempt_id).with_for_update(skip_locked=True))
    renewed = [row.attempt_id for row in rows if listed[row.attempt_id] == row.worker_id]
    values: dict[str, Any] = {"state": AttemptState.RUNNING, "renewals": Attempt.renewals + 1}
    until = func.now() + timedelta(seconds=lease)
    connection.execute(update(Attempt).where(Attempt.attempt_id.in_(renewed)).values(lease_until=until, **values))


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
