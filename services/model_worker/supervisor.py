"""The supervisor of a worker: takes tokens, claims, executes attempts, beats, and hears what it is told.

Order of shutdown: no more tokens; running attempts finish within the drain time, or are handed back; every report is
settled; then the fork server, the broker's connection and the health server go.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID, uuid4

from services.model_worker.attempt import Attempt, Workshop
from services.model_worker.contact import Contact
from services.model_worker.control import HANDLERS
from services.model_worker.holdings import Holdings
from services.model_worker.progress import ProgressServer
from services.model_worker.slots import Slots
from shared import names
from shared.broker.aio_client import AsyncBroker
from shared.broker.errors import BrokerError
from shared.broker.port import AsyncConsumerPort, Delivery, OutgoingMessage
from shared.codec import Unreadable
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, ClaimAnswered, ClaimWork, Grant, Message, WorkerBeat
from shared.messages.envelope import decode, encode

log = logging.getLogger(__name__)

_FORGET_EVERY = 60.0
"""Seconds between two looks for objects that nobody has used for long."""


class Supervisor:
    """One worker process. `run` returns when it has drained."""

    def __init__(self, workshop: Workshop, broker: AsyncBroker) -> None:
        self.workshop = workshop
        self.settings = workshop.settings
        self.slots = Slots(workshop.settings.slots)
        self.holdings = Holdings()
        self.attempts: dict[UUID, Attempt] = {}
        self.draining = asyncio.Event()
        self._contact = Contact(self.settings.beat_every)
        self._broker = broker
        self._answers: dict[UUID, asyncio.Future[ClaimAnswered]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._progress = ProgressServer(self._note_progress)
        self._tokens: AsyncConsumerPort | None = None
        self._control: AsyncConsumerPort | None = None

    @property
    def worker_id(self) -> str:
        """New at every start of the process."""
        return self.workshop.worker_id

    def not_ready(self) -> str | None:
        """Why work does not reach this worker, or None. A worker whose slots are full consumes nothing, rightly."""
        if self.draining.is_set():
            return "the worker drains"
        if self._control is None or not self._control.is_consuming:
            return "the broker has no consumer of ours"
        if self.slots.free and (self._tokens is None or not self._tokens.is_consuming):
            return "no tokens are consumed though a slot is free"
        return None

    async def run(self, queue: str) -> None:
        """Work until drained."""
        self._control = await self._broker.consume(names.worker_queue(self.worker_id), prefetch=200)
        self._tokens = await self._broker.consume(queue, prefetch=1)
        with self._progress.serving():
            works = (self._hear(self._control), self._beat(), self._forget_objects())
            loops = [asyncio.create_task(work) for work in works]
            claiming = asyncio.create_task(self._claim_work(self._tokens))
            drained = asyncio.create_task(self.draining.wait())
            try:
                await asyncio.wait((*loops, claiming, drained), return_when=asyncio.FIRST_COMPLETED)
                claiming.cancel()
                await asyncio.gather(claiming, return_exceptions=True)
                await self._tokens.pause()
                await self._drain()
            finally:
                for task in (*loops, claiming, drained):
                    task.cancel()
                results = await asyncio.gather(*loops, claiming, drained, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def answer(self, message: ClaimAnswered) -> None:
        """Give the answer to whoever waits for it. A grant that comes too late ends as undelivered."""
        future = self._answers.get(message.claim_id)
        if future is not None and not future.done():
            future.set_result(message)

    async def _claim_work(self, tokens: AsyncConsumerPort) -> None:
        """One claim at a time, each for a token; no token is taken while no slot is free."""
        while True:
            slot = await self.slots.wait_free()
            await tokens.resume()
            token = await tokens.get()
            try:
                grant = await self._claim(slot)
            except asyncio.CancelledError:
                await tokens.nack(token)
                raise
            if grant is not None:
                self._take(grant, slot)
            if not self.slots.free:
                await tokens.pause()
            await tokens.ack(token)

    async def _claim(self, slot: int) -> Grant | None:
        """Ask, and ask the same again until there is an answer."""
        claim = ClaimWork(uuid4(), self.worker_id, self.settings.queue, slot)
        future: asyncio.Future[ClaimAnswered] = self._loop.create_future()
        self._answers[claim.claim_id] = future
        while not future.done():
            await self._say(claim)
            await asyncio.wait((future,), timeout=self.settings.claim_again_after)
        del self._answers[claim.claim_id]
        return future.result().grant

    def _take(self, grant: Grant, slot: int) -> None:
        self.slots.take(slot, grant.weight)
        self.holdings.start(grant.attempt_id)
        attempt = Attempt(grant, self.workshop, self._progress.open(grant.attempt_id))
        self.attempts[grant.attempt_id] = attempt
        task = asyncio.create_task(self._execute(attempt, slot), name=f"attempt {grant.attempt_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, attempt: Attempt, slot: int) -> None:
        grant = attempt.grant
        log.info("An attempt begins", extra={"attempt": str(grant.attempt_id), "sub_task": grant.slug})
        try:
            async with self.slots.held(slot):
                report = await attempt.run(lambda: self.slots.wait_turn(slot))
        except Exception:
            log.exception("An attempt ends without a report", extra={"attempt": str(grant.attempt_id)})
            self.holdings.forget(grant.attempt_id)  # renewed no more, it ends as lost
            return
        finally:
            self._progress.close(grant.attempt_id)
            del self.attempts[grant.attempt_id]
        if grant.attempt_id in self.holdings.running:
            await self._say(self.holdings.finish(report))
        await attempt.tidy_up()

    async def _say(self, message: Message) -> None:
        """Tell the task controller; what is lost is repeated, by the claim or in the heartbeat."""
        with suppress(BrokerError):
            body = encode(message)
            await self._broker.publish(OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, body, persistent=False))

    async def _hear(self, control: AsyncConsumerPort) -> None:
        while True:
            delivery = await control.get()
            self._obey(delivery)
            await control.ack(delivery)

    def _obey(self, delivery: Delivery) -> None:
        try:
            message = decode(delivery.body)
        except Unreadable as error:
            log.error("A message to this worker cannot be read", extra={"reason": str(error)})
            return
        self._contact.heard()
        handler = HANDLERS.get(type(message))
        if handler is None:
            log.error("A message is not for workers", extra={"message_type": type(message).__name__})
        else:
            handler(self, message)

    async def _beat(self) -> None:
        """Every two seconds: what this worker holds. Unanswered for longer than the self-fence, it gives that up."""
        while True:
            self._contact.beat(self._loop.time())
            try:
                await self._broker.publish(self._heartbeat(), timeout=self.settings.beat_every)
            except BrokerError as error:
                silent = round(self._contact.silent_for)
                log.warning("A heartbeat was not taken", extra={"reason": str(error), "silent_s": silent})
            # Looked at after the wait above, in which an answer may have come, or a first grant after a long rest.
            if self._contact.silent_for > self.settings.self_fence and self.attempts:
                self._give_up_everything(self._contact.silent_for)
            await asyncio.sleep(self.settings.beat_every)

    async def _forget_objects(self) -> None:
        """Now and then, in a thread: the cache may hold many objects."""
        while True:
            await asyncio.sleep(_FORGET_EVERY)
            await asyncio.to_thread(self.workshop.cache.forget_older_than, self.settings.keep_objects)

    def _heartbeat(self) -> OutgoingMessage:
        beat = WorkerBeat(
            worker_id=self.worker_id,
            queue=self.settings.queue,
            host=socket.gethostname(),
            slots=self.slots.total,
            free_slots=self.slots.free,
            draining=self.draining.is_set(),
            running=tuple(self.holdings.running.values()),
            finished=tuple(self.holdings.finished.values()),
        )
        return OutgoingMessage("", names.HEARTBEAT_QUEUE, encode(beat), persistent=False)

    def _give_up_everything(self, silent_for: float) -> None:
        log.error("Giving up all attempts: nobody answers", extra={"silent_s": round(silent_for)})
        for attempt in self.attempts.values():
            message = f"the task controller was not heard of for {silent_for:.0f} s (OASIS_WORKER_SELF_FENCE)"
            attempt.stop(Cause.LOST, message, at_once=True)

    async def _drain(self) -> None:
        """Let what runs finish within the drain time, hand back the rest, wait until all is answered.

        The wait for the answers takes what is left of the drain time, and is never shorter than four heartbeats.
        """
        self.draining.set()
        deadline = self._loop.time() + self.settings.drain_for
        log.info("Draining", extra={"worker": self.worker_id, "attempts": len(self.attempts)})
        await self._hand_back_late_grant()
        if not await self._until(lambda: not self.attempts, deadline):
            for attempt in self.attempts.values():
                attempt.stop(Cause.DRAINED)
            await self._until(lambda: not self.attempts, self._loop.time() + self.settings.stop_grace + 5)
        if not await self._until(
            lambda: self.holdings.is_empty, max(deadline, self._loop.time() + 4 * self.settings.beat_every)
        ):
            log.warning("Leaving without an answer", extra={"reports": len(self.holdings.finished)})

    async def _hand_back_late_grant(self) -> None:
        """The claim that the drain cut short may still be granted."""
        for future in self._answers.values():
            await asyncio.wait((future,), timeout=2 * self.settings.beat_every)
            if future.done() and (grant := future.result().grant) is not None:
                reason = "granted to a worker that drains"
                self.holdings.finish(AttemptFinished(grant.attempt_id, self.worker_id, Cause.DRAINED, reason))

    async def _until(self, reached: Callable[[], bool], deadline: float) -> bool:
        while not reached() and self._loop.time() < deadline:
            await asyncio.sleep(0.05)
        return reached()

    def _note_progress(self, attempt_id: UUID, total: int | None, more: int) -> None:
        """Called in a thread of the progress server."""
        self._loop.call_soon_threadsafe(self._progressed, attempt_id, total, more)

    def _progressed(self, attempt_id: UUID, total: int | None, more: int) -> None:
        self.holdings.progress(attempt_id, total=total, more=more)
        if attempt_id in self.attempts:
            self.attempts[attempt_id].signs += 1
