"""A task controller for the tests: it speaks the real one's protocol over a real broker, and decides as it is told."""

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import repeat
from types import TracebackType
from typing import Self
from uuid import UUID

from shared import names
from shared.broker.errors import BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import ConsumerPort, OutgoingMessage
from shared.broker.topology import Topology
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptSettled,
    BeatAnswered,
    ClaimAnswered,
    ClaimWork,
    Grant,
    Message,
    RegisterModel,
    Token,
    WorkerBeat,
)
from shared.messages.envelope import decode, encode
from shared.topology import PLATFORM, work_queue
from tests.model_worker.waiting import wait_for


class Ears:
    """Consumes the queues of the task controller and the worker monitor for all controllers that there are.

    Two that consumed at the same time would each hear a half.
    """

    def __init__(self, url: str) -> None:
        self.controllers: list[Controller] = []
        self.broker = BlockingBroker(url, "test-controller", delays=lambda: repeat(0.2))
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.broker.start().declare(PLATFORM, timeout=30)
        for queue in (names.TASK_CONTROLLER_QUEUE, names.HEARTBEAT_QUEUE, names.MONITOR_QUEUE):
            consumer = self.broker.consume(queue, prefetch=50)
            self._threads.append(threading.Thread(target=self._listen, args=(consumer,)))
            self._threads[-1].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.broker.close()

    def _listen(self, consumer: ConsumerPort) -> None:
        while not self._stopping.is_set():
            for delivery in consumer.take(50, 0.1):
                for controller in tuple(self.controllers):
                    with suppress(BrokerError):  # the broker is away; whoever wants an answer asks again
                        controller.hear(decode(delivery.body))
                consumer.ack([delivery])
        consumer.stop()


@dataclass
class Controller:
    """Answers claims with what was offered, and settles what is reported. All that it hears is kept in lists.

    `deaf_to` claims are not answered at all; `settles` off, reports are heard and not answered; `answers_beats` off,
    heartbeats are not; `hears_reports` off, reports other than those in heartbeats are overlooked. `claims` are those
    that a token led to, `next_claims` the others. What concerns other queues is not its affair.
    """

    ears: Ears
    queue: str
    deaf_to: int = 0
    settles: bool = True
    answers_beats: bool = True
    hears_reports: bool = True
    claims: list[ClaimWork] = field(default_factory=list)
    next_claims: list[ClaimWork] = field(default_factory=list)
    beats: list[WorkerBeat] = field(default_factory=list)
    reports: list[AttemptFinished] = field(default_factory=list)
    registrations: list[RegisterModel] = field(default_factory=list)
    answers: dict[UUID, ClaimAnswered] = field(default_factory=dict)
    _ready: deque[Grant] = field(default_factory=deque)
    _granted: set[UUID] = field(default_factory=set)

    def __enter__(self) -> Self:
        self.ears.broker.declare(Topology(queues=(work_queue(self.queue),)))
        self.ears.controllers.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ears.controllers.remove(self)

    # What the tests say

    def offer(self, *grants: Grant) -> None:
        """Make sub-tasks ready, with a token for each."""
        self._ready.extend(grants)
        for _ in grants:
            self.send_token()

    def offer_untold(self, *grants: Grant) -> None:
        """Make sub-tasks ready of which no token tells, as a report does whose claim gets them at once."""
        self._ready.extend(grants)

    def send_token(self) -> None:
        """A token, whether or not there is work."""
        self._publish(OutgoingMessage("", self.queue, encode(Token(self.queue))))

    def tell(self, worker_id: str, message: Message) -> None:
        """Say something to one worker."""
        self._publish(OutgoingMessage("", names.worker_queue(worker_id), encode(message)))

    def tell_raw(self, worker_id: str, body: bytes) -> None:
        """Say something to one worker that is no message."""
        self._publish(OutgoingMessage("", names.worker_queue(worker_id), body))

    def answer_late(self, claim: ClaimWork, grant: Grant, settled: UUID) -> None:
        """Answer a claim that it was deaf to when it came."""
        self._granted.add(grant.attempt_id)
        self.tell(claim.worker_id, ClaimAnswered(claim.claim_id, grant, settled=settled))

    def tell_all(self, message: Message) -> None:
        """Say something to all workers."""
        self._publish(OutgoingMessage(names.CONTROL_EXCHANGE, "", encode(message), mandatory=False))

    # What the tests see

    def report_of(self, grant: Grant, within: float = 30.0) -> AttemptFinished:
        """The first report of an attempt."""
        return wait_for(lambda: next(iter(self.reports_of(grant)), None), f"a report of {grant.slug}", within)

    def reports_of(self, grant: Grant) -> list[AttemptFinished]:
        """All reports of an attempt so far; those in heartbeats are not among them."""
        return [report for report in self.reports if report.attempt_id == grant.attempt_id]

    def beat_after(self, number: int) -> WorkerBeat:
        """The heartbeat that comes after so many."""
        return wait_for(lambda: self.beats[number] if len(self.beats) > number else None, "a heartbeat")

    def next_beat(self) -> WorkerBeat:
        """A heartbeat that was sent after this call began: the second one, for the first may be on its way."""
        return self.beat_after(len(self.beats) + 1)

    def tokens(self) -> tuple[int, int]:
        """How many tokens wait at the broker, and how many consumers they have."""
        return tuple(self.ears.broker.queue_depths([self.queue])[self.queue])  # type: ignore[return-value]

    # What it does by itself

    def hear(self, message: Message) -> None:
        """Act on a message, if it is ours."""
        match message:
            case ClaimWork(queue=self.queue) as claim:
                self._answer(claim)
            case WorkerBeat(queue=self.queue) as beat:
                self.beats.append(beat)
                if beat.running and self.answers_beats:
                    self.tell(beat.worker_id, BeatAnswered(beat.worker_id))
                for report in beat.finished:
                    self._settle(report)
            case AttemptFinished() as report if report.attempt_id in self._granted and self.hears_reports:
                self._settle_and_answer(report)
            case RegisterModel() as registration if self.queue.startswith(
                f"{registration.supplier_id}-{registration.model_id}-"
            ):
                self.registrations.append(registration)

    def _settle_and_answer(self, report: AttemptFinished) -> None:
        """One message for both, as the real one does."""
        self.reports.append(report)
        if report.claim is None:
            self._settle(report)
        else:
            self._answer(report.claim, settled=report.attempt_id if self.settles else None)

    def _answer(self, claim: ClaimWork, settled: UUID | None = None) -> None:
        (self.claims if claim.by_token else self.next_claims).append(claim)
        if self.deaf_to > 0:
            self.deaf_to -= 1
            return
        if claim.claim_id not in self.answers:
            grant = self._ready.popleft() if self._ready else None
            self.answers[claim.claim_id] = ClaimAnswered(claim.claim_id, grant, not claim.by_token and bool(grant))
            if grant is not None:
                self._granted.add(grant.attempt_id)
        self.tell(claim.worker_id, replace(self.answers[claim.claim_id], settled=settled))

    def _settle(self, report: AttemptFinished) -> None:
        if self.settles:
            self.tell(report.worker_id, AttemptSettled(report.attempt_id))

    def _publish(self, message: OutgoingMessage) -> None:
        (result,) = self.ears.broker.publish([message])
        if not result.confirmed and message.mandatory:
            raise BrokerError(result.reason)
