"""The slots of a worker: how many sub-tasks it executes at once, and the one that wants all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.core.plan import SlotWeight


class Slots:
    """`total` slots, numbered from 0. Sub-tasks of weight ALL are executed with no other beside them."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken: set[int] = set()
        self._exclusive = False
        self._changed = asyncio.Condition()

    @property
    def free(self) -> int:
        """Slots for which work may be claimed: none while a sub-task has, or waits for, all of them."""
        return 0 if self._exclusive else self.total - len(self._taken)

    async def wait_free(self) -> int:
        """Wait until work may be claimed, and say for which slot."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.free > 0)
            return self.lowest()

    async def wait_idle(self) -> None:
        """Wait until no slot is taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._taken)

    def lowest(self) -> int:
        """The free slot with the lowest number."""
        return min(set(range(self.total)) - self._taken)

    def take(self, slot: int, weight: SlotWeight) -> None:
        """Take a slot at once, so that the next claim sees it. Of weight ALL, nothing more is claimed."""
        self._taken.add(slot)
        self._exclusive = weight == SlotWeight.ALL

    @asynccontextmanager
    async def holding(self, slot: int, weight: SlotWeight) -> AsyncIterator[None]:
        """Give the slot back at the end; of weight ALL, wait first until it is the only one taken."""
        try:
            if weight == SlotWeight.ALL:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._taken == {slot})
            yield
        finally:
            async with self._changed:
                self._taken.discard(slot)
                if weight == SlotWeight.ALL:
                    self._exclusive = False
                self._changed.notify_all()
