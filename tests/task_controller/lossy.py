"""A broker that loses and doubles messages, and workers that crash, forget and come back under another name."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from threading import Event
from uuid import UUID, uuid4

from shared.broker.port import OutgoingMessage
from shared.broker.topology import Topology
from shared.core.inputs import FileRef
from shared.core.retries import Cause
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptRefused,
    AttemptSettled,
    ClaimAnswered,
    ClaimWork,
    Grant,
    Message,
    StopRun,
)
from shared.topology import work_queue
from tests.fakes.broker import MemoryServer
from tests.task_controller.wire import Talker

ASK_AGAIN = 0.2
"""Seconds after which a claim that nobody answered is asked again."""


class LossyServer(MemoryServer):
    """Of what is published, `lost` of it vanishes and `doubled` of it comes twice, while `calm` is false."""

    def __init__(self, chance: random.Random, lost: float, doubled: float) -> None:
        super().__init__()
        self._chance = chance
        self._lost = lost
        self._doubled = doubled
        self.calm = False

    def publish(self, message: OutgoingMessage) -> bool:
        dice = 1.0 if self.calm else self._chance.random()
        if dice < self._lost:
            return True
        if dice < self._lost + self._doubled:
            super().publish(message)
        return super().publish(message)


@dataclass
class LossyWorker:
    """Holds one attempt at a time. `crashes` is the chance that it dies with it, untold."""

    server: LossyServer
    queue: str
    chance: random.Random
    crashes: float
    talker: Talker = field(init=False)
    held: Grant | None = None
    finished: dict[UUID, AttemptFinished] = field(default_factory=dict)
    claim: ClaimWork | None = None
    done_at: float = 0.0
    asked_at: float = 0.0
    beat_at: float = 0.0

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        self._start()
        while not stopping.is_set():
            self._listen()
            self._work()
            self._claim()
            self._beat()
        self.talker.broker.close()

    def _start(self) -> None:
        self.talker = Talker(self.server, f"worker-{uuid4().hex[:8]}")
        self.talker.broker.declare(Topology(queues=(work_queue(self.queue),)))
        self.tokens = self.talker.broker.consume(self.queue, prefetch=1)
        self.held, self.claim = None, None
        self.finished.clear()

    def _crash(self) -> None:
        self.talker.broker.close()
        self._start()

    def _listen(self) -> None:
        while message := self.talker.hears(timeout=0.01):
            self._hear(message)

    def _hear(self, message: Message) -> None:
        match message:
            case ClaimAnswered() as answer:
                self._hear_answer(answer)
            case AttemptSettled() | AttemptRefused():
                self.finished.pop(message.attempt_id, None)
                if self.held is not None and self.held.attempt_id == message.attempt_id:
                    self.held = None
            case StopRun() if self.held is not None and self.held.run_uuid == message.run_uuid:
                self._finish(Cause.CANCELLED)

    def _hear_answer(self, answer: ClaimAnswered) -> None:
        if answer.settled is not None:
            self.finished.pop(answer.settled, None)
        if self.claim is None or answer.claim_id != self.claim.claim_id:
            return
        self.claim, self.held = None, answer.grant
        self.done_at = time.monotonic() + self.chance.uniform(0, 0.05)
        if answer.token_left:
            self.tokens.ack(self.tokens.take(1, timeout=0))

    def _work(self) -> None:
        if self.held is None or time.monotonic() < self.done_at:
            return
        if not self.server.calm and self.chance.random() < self.crashes:
            self._crash()
        else:
            self._finish(None)

    def _finish(self, cause: Cause | None) -> None:
        if self.held is None:
            return
        artifacts = {"result": FileRef(f"{self.held.key_prefix}result", "result")}
        report = AttemptFinished(self.held.attempt_id, self.talker.worker_id, cause, artifacts=artifacts)
        self.finished[report.attempt_id] = report
        self.held = None
        if self.chance.random() < 0.5:  # workers of two versions
            self.claim = ClaimWork(uuid4(), self.talker.worker_id, self.queue, 0, by_token=False)
            self.asked_at = time.monotonic()
        self.talker.say(replace(report, claim=self.claim))

    def _claim(self) -> None:
        if self.held is not None:
            return
        if self.claim is None:
            taken = self.tokens.take(1, timeout=0)
            self.tokens.ack(taken)
            if not taken:
                return
            self.claim = ClaimWork(uuid4(), self.talker.worker_id, self.queue, 0)
            self.asked_at = 0.0
        if time.monotonic() - self.asked_at > ASK_AGAIN:
            self.asked_at = time.monotonic()
            self.talker.say(self.claim)

    def _beat(self) -> None:
        if time.monotonic() - self.beat_at > 0.1:
            self.beat_at = time.monotonic()
            held = (self.held,) if self.held is not None else ()
            self.talker.beat(*held, finished=tuple(self.finished.values()), queue=self.queue)
