"""The supervisor of a worker: takes tokens, claims, executes attempts, beats, and hears what it is told.

Order of shutdown: no more tokens; running attempts finish within the drain time, or are handed back; every report is
settled; then the fork server, the broker's connection and the health server go.
"""

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

from services.model_worker.attempt import Attempt, Workshop
from services.model_worker.claims import Claims
from services.model_worker.contact import Contact
from services.model_worker.control import HANDLERS
from services.model_worker.holdings import Holdings
from services.model_worker.progress import ProgressServer
from services.model_worker.room import has_room, wait_for_room
from services.model_worker.slots import Slots, Tenure
from shared import names
from shared.broker.aio_client import AsyncBroker
from shared.broker.errors import BrokerError
from shared.broker.port import AsyncConsumerPort, Delivery, OutgoingMessage
from shared.codec import Unreadable
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, ClaimAnswered, Grant, Message, WorkerBeat
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
        self._stop_by: float | None = None
        self._contact = Contact(self.settings.beat_every)
        self._broker = broker
        self._claims = Claims(workshop.worker_id, self.settings.queue, self.settings.claim_again_after, self._say)
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
        if not has_room(self.workshop.directory):
            return "the disk is full"
        if self.slots.free and (self._tokens is None or not self._tokens.is_consuming):
            return "no tokens are consumed though a slot is free"
        return None

    async def run(self, queue: str) -> None:
        """Work until drained."""
        # Its queue goes with the connection, and with it what was not acknowledged: so nothing is.
        self._control = await self._broker.consume(names.worker_queue(self.worker_id), prefetch=200, acknowledges=False)
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

    def leave(self) -> None:
        """Drain, and take all the time that the running attempts need: nothing is interrupted."""
        if not self.draining.is_set():
            self._stop_by = math.inf
            self.draining.set()

    def stop(self) -> None:
        """Drain within the drain time, from now on; also where `leave` had said otherwise."""
        if self._stop_by in (None, math.inf):
            self._stop_by = self._loop.time() + self.settings.drain_for
        self.draining.set()

    def answer(self, message: ClaimAnswered) -> None:
        """A claim has its answer, and the report that came with it perhaps too."""
        if message.settled is not None:
            self.holdings.forget(message.settled)
        self._claims.answer(message)

    async def _claim_work(self, tokens: AsyncConsumerPort) -> None:
        """A claim for each token; no token is taken while no slot is free."""
        while True:
            await self.slots.wait_free()
            if not has_room(self.workshop.directory):
                await tokens.pause()
                await wait_for_room(self.workshop.directory)
            await self._consume_while_free()
            token = await tokens.get()
            try:
                is_used = await self._claim_with_token()
            except asyncio.CancelledError:
                await tokens.nack(token)
                raise
            await self._consume_while_free()
            await (tokens.ack(token) if is_used else tokens.nack(token))

    async def _claim_with_token(self) -> bool:
        """Claim for a free slot. Returns whether there was one: meanwhile a sub-task may want them all."""
        slot = self.slots.take_free()
        if slot is None:
            return False
        grant = None
        try:
            grant = (await self._claims.with_token(slot)).grant
        finally:
            if grant is None:
                await self.slots.give_back(slot)
        if grant is not None:
            self.slots.begin(slot, grant.weight)
            self._start(self._serve(slot, self._begin(grant)), f"slot {slot}")
        return True

    async def _consume_while_free(self) -> None:
        if self._tokens is None:
            return
        if self.slots.free and not self.draining.is_set():
            await self._tokens.resume()
        else:
            await self._tokens.pause()

    async def _serve(self, slot: int, attempt: Attempt | None) -> None:
        """Execute an attempt, and what is granted for the slot when it ends, until nothing is."""
        async with self.slots.held(slot) as tenure:
            while attempt is not None:
                attempt = await self._execute(attempt, tenure)
        await self._consume_while_free()

    def _begin(self, grant: Grant) -> Attempt:
        """Hold the attempt from now on: heartbeats list it, and it can be stopped."""
        self.holdings.start(grant.attempt_id)
        attempt = Attempt(grant, self.workshop, self._progress.open(grant.attempt_id))
        self.attempts[grant.attempt_id] = attempt
        log.info("An attempt begins", extra={"attempt": str(grant.attempt_id), "sub_task": grant.slug})
        return attempt

    async def _execute(self, attempt: Attempt, tenure: Tenure) -> Attempt | None:
        """Execute, report, and begin what is granted for the slot in answer to the report."""
        attempt_id = attempt.grant.attempt_id
        try:
            report = await attempt.run(lambda: self.slots.wait_turn(tenure.slot), lambda: self._leave(tenure))
        except Exception:
            log.exception("An attempt ends without a report", extra={"attempt": str(attempt_id)})
            self.holdings.forget(attempt_id)  # renewed no more, it ends as lost
            return None
        finally:
            self._progress.close(attempt_id)
            del self.attempts[attempt_id]
        self._start(attempt.tidy_up(), f"tidy up after {attempt_id}")
        if attempt_id not in self.holdings.running:
            return None
        return await self._go_on(self.holdings.finish(report), tenure)

    async def _leave(self, tenure: Tenure) -> None:
        await tenure.leave()
        await self._consume_while_free()

    async def _go_on(self, report: AttemptFinished, tenure: Tenure) -> Attempt | None:
        """Report, and claim in the same message for the slot that has become free, without a token."""
        if not self._may_go_on(tenure):
            await self._say(report)
            return None
        answer = await self._claims.with_report(report, tenure.slot)
        if answer.grant is None:
            return None
        if self.draining.is_set():
            self._hand_back(answer.grant)
            return None
        await self.slots.go_on(tenure.slot, answer.grant.weight)
        following = self._begin(answer.grant)
        await self._consume_while_free()
        if answer.token_left:
            self._start(self._remove_token(), "a token too many")
        return following

    def _may_go_on(self, tenure: Tenure) -> bool:
        """Whether the slot is still this one's and may serve another sub-task."""
        if tenure.has_left or self.draining.is_set():
            return False
        return self.slots.may_go_on(tenure.slot) and has_room(self.workshop.directory)

    async def _remove_token(self) -> None:
        """One that is left all the same only leads to a claim that gets nothing."""
        with suppress(BrokerError):
            await self._broker.remove_one(self.settings.queue)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, message: Message) -> None:
        """Tell the task controller; what is lost is repeated, by the claim or in the heartbeat."""
        with suppress(BrokerError):
            body = encode(message)
            await self._broker.publish_unconfirmed(
                OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, body, persistent=False, mandatory=False)
            )

    async def _hear(self, control: AsyncConsumerPort) -> None:
        while True:
            self._obey(await control.get())

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
            await asyncio.to_thread(self.workshop.trees.forget_older_than, self.settings.keep_trees)

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
            fleet_name=self.settings.fleet_name,
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
        if self._stop_by is None:
            self.stop()
        log.info("Draining", extra={"worker": self.worker_id, "attempts": len(self.attempts)})
        for grant in await self._claims.late_grants(2 * self.settings.beat_every):
            self._hand_back(grant)
        if not await self._until(lambda: not self.attempts):
            for attempt in self.attempts.values():
                attempt.stop(Cause.DRAINED)
            await self._until(lambda: not self.attempts, self._loop.time() + self.settings.stop_grace + 5)
        if not await self._until(lambda: self.holdings.is_empty, self._loop.time() + 4 * self.settings.beat_every):
            log.warning("Leaving without an answer", extra={"reports": len(self.holdings.finished)})

    def _hand_back(self, grant: Grant) -> None:
        """A claim that the drain cut short has been granted all the same."""
        reason = "granted to a worker that drains"
        self.holdings.finish(AttemptFinished(grant.attempt_id, self.worker_id, Cause.DRAINED, reason))

    async def _until(self, reached: Callable[[], bool], at_least: float = 0.0) -> bool:
        """Wait until the time to stop, which may come nearer meanwhile, or until `at_least` where that is later."""
        while not reached() and self._loop.time() < max(at_least, self._stop_by or 0.0):
            await asyncio.sleep(0.05)
        return reached()

    def _note_progress(self, attempt_id: UUID, total: int | None, more: int) -> None:
        """Called in a thread of the progress server."""
        self._loop.call_soon_threadsafe(self._progressed, attempt_id, total, more)

    def _progressed(self, attempt_id: UUID, total: int | None, more: int) -> None:
        self.holdings.progress(attempt_id, total=total, more=more)
        if attempt_id in self.attempts:
            self.attempts[attempt_id].signs += 1
