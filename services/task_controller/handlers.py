"""What the task controller does with each message: one table, one function a message.

The messages of a batch are handled in the table's order inside one transaction, whose runs have been locked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import random
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.task_controller.claims import Candidates, find_candidates, grant, look_again
from services.task_controller.planning import plan
from services.task_controller.settings import Settings
from shared import names
from shared.core.facts import CancelRequested
from shared.core.retries import Cause
from shared.core.states import ENDED_SUB_TASKS, LIVE_ATTEMPTS
from shared.database.execution import Attempt, Run, SubTask, UnservedQueue, Worker
from shared.database.settlement import Place, places_of, settle
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptRefused,
    AttemptSettled,
    CancelRun,
    ChangePriority,
    ClaimWork,
    Message,
    QueueUnserved,
    StartRun,
    WorkerDied,
)


@dataclass(frozen=True)
class Reply:
    """An answer to a worker, sent once the transaction has committed. Lost, it is asked for again."""

    worker_id: str
    message: Message

    @property
    def queue(self) -> str:
        """The worker's own queue."""
        return names.worker_queue(self.worker_id)


@dataclass
class Batch:
    """The messages of one transaction, and what had to be looked up to know which runs to lock."""

    work: WorkingSet
    settings: Settings
    messages: Sequence[Message]
    places: dict[Any, Place] = field(default_factory=dict)
    candidates: Candidates = field(default_factory=lambda: Candidates({}, {}))
    deaths: list[AttemptFinished] = field(default_factory=list)
    settled: dict[UUID, UUID] = field(default_factory=dict)
    """By claim, the attempt whose report came with it and counts: one answer tells both."""

    def of(self, kind: type[Any]) -> list[Any]:
        """The messages of a kind, in the order of arrival."""
        return [message for message in self.messages if type(message) is kind]


def start_runs(batch: Batch) -> list[Reply]:
    """Plan what has been requested."""
    for message in batch.of(StartRun):
        plan(batch.work, message.run_id)
    return []


def cancel_runs(batch: Batch) -> list[Reply]:
    """End what a cancelled run still has."""
    for message in batch.of(CancelRun):
        if message.run_id in batch.work.runs:
            batch.work.decide(message.run_id, CancelRequested())
    return []


def change_priorities(batch: Batch) -> list[Reply]:
    """What still waits of a run, or may wait again after a failure, gets its new priority."""
    for message in batch.of(ChangePriority):
        if message.run_id not in batch.work.runs:
            continue
        connection, priority = batch.work.connection, message.priority
        connection.execute(update(Run).where(Run.id == message.run_id).values(priority=priority))
        is_open = SubTask.state.not_in(sorted(ENDED_SUB_TASKS))
        of_run = (SubTask.run_id == message.run_id) & is_open
        connection.execute(update(SubTask).where(of_run).values(priority=priority))
        batch.work.set_priority(message.run_id, priority)
    return []


def settle_attempts(batch: Batch) -> list[Reply]:
    """Take the results and failures that workers report into account."""
    reports = batch.of(AttemptFinished)
    verdicts = settle(batch.work, reports, batch.places, random)
    counting = (report for report in reports if verdicts[report.attempt_id] is None)
    batch.settled = {report.claim.claim_id: report.attempt_id for report in counting if report.claim is not None}
    told = batch.settled.values()
    return [verdict(each, verdicts[each.attempt_id]) for each in reports if each.attempt_id not in told]


def end_leases(batch: Batch) -> list[Reply]:
    """A dead worker's attempts end at once."""
    settle(batch.work, batch.deaths, batch.places, random)
    for message in sorted(batch.of(WorkerDied), key=lambda death: death.worker_id):
        values = {"died_at": batch.work.now, "died_of": message.reason}
        of_worker = Worker.worker_id == message.worker_id
        batch.work.connection.execute(update(Worker).where(of_worker).values(**values))
    return []


def note_unserved(batch: Batch) -> list[Reply]:
    """Keep the last word on each queue; who reads it looks at how old it is."""
    last = {message.queue: message.reason for message in batch.of(QueueUnserved)}
    rows = [{"queue": queue, "reason": last[queue], "told_at": batch.work.now} for queue in sorted(last)]
    said = insert(UnservedQueue).values(rows)
    newest = {"reason": said.excluded.reason, "told_at": said.excluded.told_at}
    batch.work.connection.execute(said.on_conflict_do_update(index_elements=["queue"], set_=newest))
    return []


def grant_claims(batch: Batch) -> list[Reply]:
    """Hand out the best ready sub-tasks, those among them that this batch has made ready."""
    claims = batch.of(ClaimWork)
    candidates = look_again(batch.work, claims, batch.candidates)
    answers = grant(batch.work, claims, candidates, batch.settings.lease)
    return [
        Reply(claim.worker_id, replace(answer, settled=batch.settled.get(claim.claim_id)))
        for claim, answer in zip(claims, answers, strict=True)
    ]


HANDLERS: dict[type[Message], Callable[[Batch], list[Reply]]] = {
    ChangePriority: change_priorities,
    CancelRun: cancel_runs,
    StartRun: start_runs,
    AttemptFinished: settle_attempts,
    WorkerDied: end_leases,
    QueueUnserved: note_unserved,
    ClaimWork: grant_claims,
}


def handle(work: WorkingSet, settings: Settings, messages: Sequence[Message]) -> list[Reply]:
    """Handle the messages in this transaction; the replies are sent after its commit."""
    messages = [part for message in messages for part in _parts(message)]
    batch = Batch(work, settings, messages)
    _look_up(batch)
    run_ids = {message.run_id for message in messages if isinstance(message, StartRun | CancelRun | ChangePriority)}
    run_ids |= {place.run_id for place in batch.places.values()} | batch.candidates.run_ids
    work.lock(run_ids)
    work.load({place.sub_task_id for place in batch.places.values()} | batch.candidates.sub_task_ids)
    kinds = {type(message) for message in messages}
    replies = [reply for kind, handler in HANDLERS.items() if kind in kinds for reply in handler(batch)]
    work.flush()
    return replies


def _parts(message: Message) -> tuple[Message, ...]:
    """A report may bring a claim along, which is handled after it."""
    if isinstance(message, AttemptFinished) and message.claim is not None:
        return message, message.claim
    return (message,)


def _look_up(batch: Batch) -> None:
    """What never changes, or is looked at again under lock: places of attempts, candidates of claims."""
    connection = batch.work.connection
    batch.candidates = find_candidates(connection, batch.of(ClaimWork))
    batch.deaths = [report for message in batch.of(WorkerDied) for report in _held_by(batch, message)]
    reported = [report.attempt_id for report in (*batch.of(AttemptFinished), *batch.deaths)]
    batch.places = places_of(connection, reported) if reported else {}


def _held_by(batch: Batch, death: WorkerDied) -> list[AttemptFinished]:
    live = Attempt.state.in_(sorted(LIVE_ATTEMPTS))
    query = select(Attempt.attempt_id).where(Attempt.worker_id == death.worker_id, live)
    message = f"the worker died: {death.reason}"
    return [
        AttemptFinished(attempt_id, death.worker_id, Cause.LOST, message)
        for attempt_id in batch.work.connection.scalars(query)
    ]


def verdict(report: AttemptFinished, refusal: str | None) -> Reply:
    """What the worker of a report hears: settled, or refused and why."""
    if refusal is None:
        return Reply(report.worker_id, AttemptSettled(report.attempt_id))
    return Reply(report.worker_id, AttemptRefused(report.attempt_id, refusal))
