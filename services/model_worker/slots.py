"""The slots of a worker: how many sub-tasks it executes at once, and the one that wants all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.core.plan import SlotWeight


class Slots:
    """`total` slots, numbered from 0. Sub-tasks of weight ALL are executed with no other beside them.

    A slot is taken from before work is claimed for it: what a claim is still to be granted counts as running.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken: set[int] = set()
        self._alone: list[int] = []
        """Slots whose sub-tasks have, or wait for, all of them; in the order in which they get them."""
        self.leaving = 0
        """Attempts that have left their slots and still upload."""
        self._changed = asyncio.Condition()

    @property
    def free(self) -> int:
        """Slots for which work may be claimed: none while a sub-task has, or waits for, all of them."""
        return 0 if self._alone else self.total - len(self._taken)

    async def wait_free(self) -> None:
        """Wait until work may be claimed for a free slot."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.free > 0)

    def take_free(self) -> int | None:
        """Take the free slot with the lowest number, to claim work for it; None while no work may be claimed."""
        if not self.free:
            return None
        slot = min(set(range(self.total)) - self._taken)
        self._taken.add(slot)
        return slot

    def may_go_on(self, slot: int) -> bool:
        """Whether work may be claimed for a slot whose sub-task has ended: no other one has, or wants, all slots."""
        return self._alone in ([], [slot])

    def begin(self, slot: int, weight: SlotWeight) -> None:
        """What was claimed for a slot is there: of weight ALL, nothing more is claimed until it has ended.

        Several that want all slots, claimed side by side, get them one after the other.
        """
        if weight == SlotWeight.ALL:
            self._alone.append(slot)

    async def go_on(self, slot: int, weight: SlotWeight) -> None:
        """Begin the sub-task that follows on a slot, which may want less than the one before, or more."""
        async with self._changed:
            self._leave_alone(slot)
            self.begin(slot, weight)
            self._changed.notify_all()

    async def wait_turn(self, slot: int) -> None:
        """Wait until a sub-task of weight ALL may begin: until only such have slots, and it is the first of them."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._alone[0] == slot and self._taken == set(self._alone))

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
        """Nothing runs in it any more, and nothing is claimed for it."""
        async with self._changed:
            self._taken.discard(slot)
            self._leave_alone(slot)
            self._changed.notify_all()

    def _leave_alone(self, slot: int) -> None:
        if slot in self._alone:
            self._alone.remove(slot)


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
