"""The slots of a worker: how many sub-tasks it executes at once, and the one that wants all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.core.plan import SlotWeight


class Slots:
    """`total` slots, numbered from 0. Sub-tasks of weight ALL are executed with no other beside them."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken: set[int] = set()
        self._exclusive: int | None = None
        self.leaving = 0
        """Attempts that have left their slots and still upload."""
        self._changed = asyncio.Condition()

    @property
    def free(self) -> int:
        """Slots for which work may be claimed: none while a sub-task has, or waits for, all of them."""
        return 0 if self._exclusive is not None else self.total - len(self._taken)

    @property
    def first_free(self) -> int | None:
        """The free slot with the lowest number, or None while no work may be claimed."""
        return min(set(range(self.total)) - self._taken) if self.free else None

    async def wait_free(self) -> None:
        """Wait until work may be claimed for a free slot."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.free > 0)

    def may_go_on(self, slot: int) -> bool:
        """Whether work may be claimed for a slot whose sub-task has ended: no other one has, or wants, all slots."""
        return self._exclusive in (None, slot)

    def take(self, slot: int, weight: SlotWeight) -> None:
        """Take a slot at once, so that the next claim sees it. Of weight ALL, nothing more is claimed."""
        self._taken.add(slot)
        if weight == SlotWeight.ALL:
            self._exclusive = slot

    async def go_on(self, slot: int, weight: SlotWeight) -> None:
        """Keep the slot for the sub-task that follows on it, which may want less than the one before, or more."""
        async with self._changed:
            if slot == self._exclusive:
                self._exclusive = None
            self.take(slot, weight)
            self._changed.notify_all()

    async def wait_turn(self, slot: int) -> None:
        """Wait until the sub-task that took the slot may begin: of weight ALL, until no other slot is taken."""
        if slot == self._exclusive:
            async with self._changed:
                await self._changed.wait_for(lambda: self._taken == {slot})

    @asynccontextmanager
    async def held(self, slot: int) -> AsyncIterator["Tenure"]:
        """Give the slot back at the end, however that comes, or earlier: by leaving it."""
        tenure = Tenure(self, slot)
        try:
            yield tenure
        finally:
            if tenure.has_left:
                self.leaving -= 1
            else:
                await self.give_back(slot)

    async def give_back(self, slot: int) -> None:
        async with self._changed:
            self._taken.discard(slot)
            if slot == self._exclusive:
                self._exclusive = None
            self._changed.notify_all()


@dataclass
class Tenure:
    """A slot that is held."""

    slots: Slots
    slot: int
    has_left: bool = field(default=False, init=False)

    async def leave(self) -> None:
        """Give the slot back before the end.

        As many attempts may have left and still upload as there are slots; the next one keeps its slot to its end, so
        that a slow object store holds the worker up instead of filling its disk.
        """
        if not self.has_left and self.slots.leaving < self.slots.total:
            self.slots.leaving += 1
            self.has_left = True
            await self.slots.give_back(self.slot)
