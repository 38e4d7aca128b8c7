"""The claims of a worker, each for a slot and asked until it is answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from shared.messages.catalogue import AttemptFinished, ClaimAnswered, ClaimWork, Grant, Message


@dataclass
class Claims:
    """Asks on behalf of one worker. `again_after` in seconds."""

    worker_id: str
    queue: str
    again_after: float
    say: Callable[[Message], Awaitable[None]]
    _open: dict[UUID, asyncio.Future[ClaimAnswered]] = field(default_factory=dict)

    async def with_token(self, slot: int) -> ClaimAnswered:
        """Claim for a free slot, with a token in hand."""
        claim = ClaimWork(uuid4(), self.worker_id, self.queue, slot)
        return await self._ask(claim, claim)

    async def with_report(self, report: AttemptFinished, slot: int) -> ClaimAnswered:
        """Report, and claim in the same message for the slot whose attempt has ended. Heartbeats repeat the report."""
        claim = ClaimWork(uuid4(), self.worker_id, self.queue, slot, by_token=False)
        return await self._ask(claim, replace(report, claim=claim))

    def answer(self, message: ClaimAnswered) -> None:
        """Give the answer to whoever waits for it. A grant that comes too late ends as undelivered."""
        future = self._open.get(message.claim_id)
        if future is not None and not future.done():
            future.set_result(message)

    async def late_grants(self, patience: float) -> Iterable[Grant]:
        """What the open claims are granted within so many seconds. Nobody waits for an answer after that."""
        answers = await asyncio.gather(*(self._last_answer(claim_id, patience) for claim_id in tuple(self._open)))
        return [answer.grant for answer in answers if answer.grant is not None]

    async def _ask(self, claim: ClaimWork, first: Message) -> ClaimAnswered:
        """Ask, and ask the same again until there is an answer."""
        future: asyncio.Future[ClaimAnswered] = asyncio.get_running_loop().create_future()
        self._open[claim.claim_id] = future
        await self.say(first)
        await asyncio.wait((future,), timeout=self.again_after)
        while not future.done():
            await self.say(claim)
            await asyncio.wait((future,), timeout=self.again_after)
        del self._open[claim.claim_id]
        return future.result()

    async def _last_answer(self, claim_id: UUID, patience: float) -> ClaimAnswered:
        future = self._open[claim_id]
        await asyncio.wait((future,), timeout=patience)
        if not future.done():
            future.set_result(ClaimAnswered(claim_id))
        return future.result()
