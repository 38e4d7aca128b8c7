"""Where the newest snapshot is, and where clients wait for a newer one. Belongs to the event loop's thread.

There is no queue: who was busy with an old snapshot finds the newest one next, and never those between.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.api.websocket.snapshots import Snapshot


class Hub:
    """Holds a snapshot while anybody listens. `look` reads one from the database; it runs in a thread."""

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()
        self.newest: Snapshot | None = None
        self.listeners = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count as a listener while inside. What the last one leaves behind would be old for the next."""
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1
            if not self.listeners:
                self.newest = None

    def publish(self, snapshot: Snapshot) -> None:
        """Let listeners have it, unless they have a newer one or there are none."""
        if not self.listeners or (self.newest is not None and snapshot.version <= self.newest.version):
            return
        self.newest = snapshot
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def current(self) -> Snapshot:
        """The newest snapshot; the first listener has it read. Raises what the database raises."""
        async with self._looking:
            if self.newest is None:
                self.publish(await asyncio.to_thread(self._look))
            if self.newest is None:
                raise LookupError("only listeners may ask for the current snapshot")
            return self.newest

    async def newer_than(self, version: int, within: float) -> Snapshot | None:
        """The newest snapshot once it is newer than `version`; None when there was none within so many seconds."""
        try:
            async with asyncio.timeout(within):
                while self.newest is None or self.newest.version <= version:
                    await self._changed.wait()
                return self.newest
        except TimeoutError:
            return None
