"""Figures of the whole platform for Prometheus: what waits and runs on every queue, and what attempts ended of.

They are read from the database when they are asked for, at a cost that grows with live runs, queues and workers, not
with sub-tasks, and at most once in a few seconds however many ask.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from threading import Lock

from sqlalchemy import Connection, Engine, and_, func, or_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.task_controller.handlers import Reply
from shared import names
from shared.broker.errors import BrokerError
from shared.broker.port import BrokerPort
from shared.core.retries import Cause
from shared.core.states import SubTaskState
from shared.database.execution import Outbox, Run, StageRow, SubTask, Worker
from shared.messages.catalogue import AttemptFinished, AttemptSettled, ClaimAnswered, Message
from shared.metrics import Counter, Gauge, Metric, Values

log = logging.getLogger(__name__)

_BY_PRIORITY, _BY_QUEUE = ("queue", "priority"), ("queue",)
READY = Metric("lossline_sub_tasks_ready", "Sub-tasks of live runs that wait for a worker.", _BY_PRIORITY)
RUNNING = Metric("lossline_sub_tasks_running", "Sub-tasks of live runs that a worker has.", _BY_PRIORITY)
OLDEST = Metric(
    "lossline_sub_task_oldest_ready_seconds",
    "How long the ready sub-task has waited that is handed out next of its queue and priority.",
    _BY_PRIORITY,
)
WORKERS = Metric("lossline_workers", "Workers that beat and take work.", _BY_QUEUE)
SLOTS = Metric("lossline_worker_slots", "Their slots.", _BY_QUEUE)
SLOTS_USED = Metric("lossline_worker_slots_used", "Their slots with an attempt.", _BY_QUEUE)
OUTBOX = Metric("lossline_outbox_messages", "Messages that are due and not published; 10000 stands for more.")
PARKED = Metric("lossline_parked_messages", "Messages that no service could read or handle.")
ENDED = Metric(
    "lossline_attempts_ended_total",
    "Reports of ended attempts that were taken, by cause: completed, or why the sub-task is tried again or has failed.",
    ("cause",),
)
RETRIED = Metric(
    "lossline_sub_task_retries_total", "Sub-tasks that are tried again, by what their attempt ended of.", ("cause",)
)
EXPIRED = Metric("lossline_leases_expired_total", "Attempts given up because their worker was silent for a lease.")

FRESH = 5.0
"""Seconds that what was read is answered again."""
_MOST = 10_000
_SILENCE = timedelta(seconds=10)

Found = Mapping[Metric, Mapping[Values, float]]


@dataclass(frozen=True)
class Counted:
    """What this process has seen."""

    ended: Counter = field(default_factory=lambda: Counter(ENDED))
    expired: Counter = field(default_factory=lambda: Counter(EXPIRED))
    retried: Counter = field(default_factory=lambda: Counter(RETRIED))

    @property
    def figures(self) -> Sequence[Counter]:
        """All of them."""
        return (self.ended, self.retried, self.expired)

    def retried_of(self, causes: Iterable[Cause]) -> None:
        """Count the retries of a transaction that has been committed."""
        for cause in causes:
            self.retried.add(cause)

    def settled(self, messages: Iterable[Message], replies: Iterable[Reply]) -> None:
        """Count the reports among the messages that the replies say were taken."""
        taken = {_settled_by(reply.message) for reply in replies}
        for message in messages:
            if isinstance(message, AttemptFinished) and message.attempt_id in taken:
                self.ended.add(str(message.cause or "completed"))


class Looks:
    """The database and the parking queue, looked at together."""

    def __init__(self, engine: Engine, broker: BrokerPort, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._broker = broker
        self._clock = clock
        self._lock = Lock()
        self._found: Found = {}
        self._until = float("-inf")

    def gauges(self) -> Sequence[Gauge]:
        """One for each figure. Of what cannot be read there are no samples."""
        metrics = (READY, RUNNING, OLDEST, WORKERS, SLOTS, SLOTS_USED, OUTBOX, PARKED)
        return [Gauge(metric, partial(self._values, metric)) for metric in metrics]

    def _values(self, metric: Metric) -> Mapping[Values, float]:
        return self._look().get(metric, {})

    def _look(self) -> Found:
        with self._lock:
            if self._clock() >= self._until:
                self._found = {**self._database(), **self._parked()}
                self._until = self._clock() + FRESH
            return self._found

    def _database(self) -> Found:
        try:
            with self._engine.connect() as connection:
                return {**_work(connection), **_workers(connection), OUTBOX: {(): _unsent(connection)}}
        except (OperationalError, PoolTimeout) as error:
            log.warning("Figures cannot be read", extra={"reason": str(error)})
            return {}

    def _parked(self) -> Found:
        try:
            depths = self._broker.queue_depths([names.PARKED_QUEUE])
        except BrokerError as error:
            log.warning("Parked messages cannot be counted", extra={"reason": str(error)})
            return {}
        return {PARKED: {(): float(sum(depth.messages for depth in depths.values()))}}


def _settled_by(message: Message) -> object:
    if isinstance(message, AttemptSettled):
        return message.attempt_id
    return message.settled if isinstance(message, ClaimAnswered) else None


def _work(connection: Connection) -> Found:
    sums = (func.sum(StageRow.queued).label("ready"), func.sum(StageRow.started).label("running"))
    alive = select(StageRow.queue, Run.priority, *sums).join(Run, Run.id == StageRow.run_id)
    query = alive.where(Run.ended_at.is_(None)).group_by(StageRow.queue, Run.priority)
    rows = [(row.queue, row.priority, int(row.ready), int(row.running)) for row in connection.execute(query)]
    return {
        READY: {(queue, str(priority)): ready for queue, priority, ready, _ in rows},
        RUNNING: {(queue, str(priority)): running for queue, priority, _, running in rows},
        OLDEST: {
            (queue, str(priority)): _waited(connection, queue, priority) for queue, priority, ready, _ in rows if ready
        },
    }


def _waited(connection: Connection, queue: str, priority: int) -> float:
    """The first entry of the index of claims, whatever else waits."""
    first = and_(SubTask.queue == queue, SubTask.priority == priority, SubTask.state == SubTaskState.QUEUED)
    order = (SubTask.requested_at, SubTask.run_id, SubTask.stage.desc(), SubTask.id)
    age = func.extract("epoch", func.now() - SubTask.queue_time)
    return max(0.0, float(connection.scalar(select(age).where(first).order_by(*order).limit(1)) or 0.0))


def _workers(connection: Connection) -> Found:
    slots = (func.count().label("workers"), func.sum(Worker.slots).label("slots"), func.sum(Worker.free_slots))
    alive = (Worker.died_at.is_(None), ~Worker.draining, Worker.last_seen >= func.now() - _SILENCE)
    query = select(Worker.queue, *slots).where(*alive).group_by(Worker.queue)
    rows = [(queue, int(workers), int(slots), int(free)) for queue, workers, slots, free in connection.execute(query)]
    return {
        WORKERS: {(queue,): workers for queue, workers, _, _ in rows},
        SLOTS: {(queue,): slots for queue, _, slots, _ in rows},
        SLOTS_USED: {(queue,): slots - free for queue, _, slots, free in rows},
    }


def _unsent(connection: Connection) -> float:
    due = or_(Outbox.not_before.is_(None), Outbox.not_before <= func.now())
    some = select(Outbox.id).where(Outbox.sent_at.is_(None), due).limit(_MOST).subquery()
    return float(connection.scalar(select(func.count()).select_from(some)) or 0)
