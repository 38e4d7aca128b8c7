"""Many workers in one process, over the real wire: tokens, claims, answers, reports, heartbeats.

Their work takes no time, unless they are told how much. One task controller serves them; what is measured is how many
sub-tasks it hands out and settles in a second.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import Engine, func, select

from shared import names
from shared.broker.aio_values import declare_on
from shared.core.inputs import FileRef
from shared.core.plan import RECORDER_QUEUE
from shared.database.execution import SubTask
from shared.messages.catalogue import (
    AttemptBeat,
    AttemptFinished,
    AttemptRefused,
    AttemptSettled,
    ClaimAnswered,
    ClaimWork,
    Grant,
    Message,
    WorkerBeat,
)
from shared.messages.envelope import decode, encode
from shared.topology import worker_topology

_RECORDERS = 2
_BEAT_SECONDS = 2.0


@dataclass
class SimulatedWorker:
    """One worker, which serves one queue on each of its slots."""

    queue: str
    sender: AbstractChannel
    work_seconds: float = 0.0
    slots: int = 1
    worker_id: str = field(default_factory=lambda: f"simulated-{uuid4().hex}")
    running: set[UUID] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    _free: list[int] = field(init=False)
    _answers: dict[UUID, asyncio.Future[ClaimAnswered]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = list(range(self.slots))

    async def start(self, tokens: AbstractChannel, control: AbstractChannel) -> None:
        """Declare what a worker declares, and consume. The prefetch of a consumer of tokens is the slots."""
        await declare_on(control, worker_topology(self.worker_id, self.queue))
        answers = await control.get_queue(names.worker_queue(self.worker_id), ensure=False)
        await answers.consume(self._hear, no_ack=True)
        await (await tokens.get_queue(self.queue, ensure=False)).consume(self._serve)

    async def say(self, message: Message, queue: str = names.TASK_CONTROLLER_QUEUE) -> None:
        """Publish to the task controller."""
        body = aio_pika.Message(encode(message), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self.sender.default_exchange.publish(body, queue)

    def beat(self) -> WorkerBeat:
        """The heartbeat of this moment."""
        running = tuple(map(AttemptBeat, self.running))
        return WorkerBeat(self.worker_id, self.queue, "simulated", self.slots, len(self._free), running=running)

    async def _serve(self, token: AbstractIncomingMessage) -> None:
        """A claim for a token; what is granted is worked on, then reported with a claim for what follows."""
        slot = self._free.pop()
        claim = ClaimWork(uuid4(), self.worker_id, self.queue, slot)
        answer = await self._ask(claim, claim)
        while answer.grant is not None:
            self.running.add(answer.grant.attempt_id)
            began = datetime.now(UTC)
            await asyncio.sleep(self.work_seconds)
            claim = ClaimWork(uuid4(), self.worker_id, self.queue, slot, by_token=False)
            answer = await self._ask(claim, self._finished(answer.grant, claim, began))
            if answer.token_left:
                left_over = await self.sender.get_queue(self.queue, ensure=False)
                await left_over.get(no_ack=True, fail=False, timeout=None)  # the broker is busy: 100,000 tokens come
        self._free.append(slot)
        await token.ack()

    async def _ask(self, claim: ClaimWork, message: Message) -> ClaimAnswered:
        answer: asyncio.Future[ClaimAnswered] = asyncio.get_running_loop().create_future()
        self._answers[claim.claim_id] = answer
        await self.say(message)
        return await answer

    def _finished(self, grant: Grant, claim: ClaimWork, began: datetime) -> AttemptFinished:
        left = {"output_location": FileRef(f"{grant.key_prefix}out.tar.gz", "out.tar.gz")}
        ended = datetime.now(UTC)
        return AttemptFinished(
            grant.attempt_id, self.worker_id, artifacts=left, started_at=began, finished_at=ended, claim=claim
        )

    async def _hear(self, delivery: AbstractIncomingMessage) -> None:
        match decode(delivery.body):
            case ClaimAnswered() as answer:
                self.running -= {answer.settled} if answer.settled else set()
                self._answers.pop(answer.claim_id).set_result(answer)
            case AttemptSettled() as settled:
                self.running.discard(settled.attempt_id)
            case AttemptRefused() as refused:
                self.running.discard(refused.attempt_id)
                self.refused.append(refused.reason)


@asynccontextmanager
async def simulated_workers(
    broker: str, queue: str, count: int, work_seconds: float = 0.0, slots: int = 1
) -> AsyncIterator[list[SimulatedWorker]]:
    """So many workers of the model queue, and two for the record-* sub-tasks, which the worker monitor serves else."""
    async with await aio_pika.connect(broker) as connection:
        sender = await connection.channel(publisher_confirms=False)
        control = await connection.channel(publisher_confirms=False)
        tokens = await connection.channel(publisher_confirms=False)
        await tokens.set_qos(prefetch_count=slots)  # RabbitMQ counts it for each consumer of the channel
        workers = [SimulatedWorker(queue, sender, work_seconds, slots) for _ in range(count)]
        workers += [SimulatedWorker(RECORDER_QUEUE, sender, slots=slots) for _ in range(_RECORDERS)]
        for worker in workers:
            await worker.start(tokens, control)
        beating = asyncio.create_task(_beat(workers))
        try:
            yield workers
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)


async def _beat(workers: list[SimulatedWorker]) -> None:
    while True:
        for worker in workers:
            await worker.say(worker.beat(), names.HEARTBEAT_QUEUE)
        await asyncio.sleep(_BEAT_SECONDS)


def chunk_rate(engine: Engine, run_id: int) -> float:
    """Chunks of the parallel section in a second: from the moment they became ready to the end of the last."""
    query = select(func.count(), func.min(SubTask.queue_time), func.max(SubTask.end_time))
    of_section = (SubTask.run_id == run_id) & (SubTask.slug.like("generate-losses-chunk-%"))
    with engine.connect() as connection:
        row: Any = connection.execute(query.where(of_section)).one()
    count, ready, ended = row
    return float(count / (ended - ready).total_seconds())
