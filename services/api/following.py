"""A log that is sent while it grows: the logs of all attempts of a sub-task, one after the other, until it has ended.

An offset counts in that text. What was once in a log stays at its place, so whoever was cut off goes on from there.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import BoundedSemaphore

from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from services.api.downloads import CHUNK_BYTES
from services.api.errors import Unavailable
from services.api.logs import attempts_of, origin_of
from shared.core.plan import log_key
from shared.core.states import ENDED_SUB_TASKS
from shared.database.execution import Run, SubTask
from shared.object_store import ObjectNotFound, ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds. Workers put a growing log into the store every few seconds."""


@dataclass(frozen=True)
class Look:
    """The logs of a sub-task's attempts, by key, in order, and whether nothing more will come."""

    keys: tuple[str, ...]
    ended: bool


@dataclass
class Seat:
    """One of a bounded number of followers; to be left once, however the answer ends."""

    _free: BoundedSemaphore | None

    @classmethod
    def take(cls, free: BoundedSemaphore) -> "Seat":
        """Raises Unavailable where all are taken."""
        if not free.acquire(blocking=False):
            text = "As many logs are being followed as OASIS_API_FOLLOWERS allows; try again later, or read with Range."
            raise Unavailable({"detail": text}, headers={"Retry-After": "5"})
        return cls(free)

    def leave(self) -> None:
        """Let somebody else follow. Leaving again does nothing."""
        free, self._free = self._free, None
        if free is not None:
            free.release()


class Follower:
    """Reads on from `offset`. `look` says what there is to read."""

    def __init__(self, store: ObjectStore, look: Callable[[], Look], offset: int) -> None:
        self._store = store
        self._look = look
        self._skip = offset
        self._number = 0
        self._at = 0

    def blocks(
        self, within: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[bytes]:
        """What there is and what comes, until the sub-task has ended or `within` seconds are over."""
        deadline = clock() + within
        while True:
            # First the look: what is read after it is complete if it says that nothing more will come.
            look = self._look_patiently()
            yield from self._news(look.keys)
            if look.ended or clock() >= deadline:
                return
            sleep(LOOK_EVERY)

    def _look_patiently(self) -> Look:
        """The answer has begun: a database that is away must not break it."""
        try:
            return self._look()
        except (OperationalError, PoolTimeout) as error:
            log.warning("a log is followed without the database", extra={"reason": str(error)})
            return Look((), ended=False)

    def _news(self, keys: tuple[str, ...]) -> Iterator[bytes]:
        while self._number < len(keys):
            is_last = self._number == len(keys) - 1
            self._pass_over(keys[self._number], is_last=is_last)
            yield from self._rest_of(keys[self._number])
            if is_last:
                return
            self._number, self._at = self._number + 1, 0

    def _pass_over(self, key: str, *, is_last: bool) -> None:
        """Go to the offset, or behind this log where the offset is in a later one."""
        if not self._skip:
            return
        step = self._skip if is_last else min(self._skip, self._size(key))
        self._at, self._skip = self._at + step, self._skip - step

    def _rest_of(self, key: str) -> Iterator[bytes]:
        try:
            with self._store.open(key, self._at) as stream:
                while block := stream.read(CHUNK_BYTES):
                    self._at += len(block)
                    yield block
        except ObjectNotFound:
            return  # nothing has been printed yet, or the log was lost
        except ObjectStoreError:
            log.warning("a log cannot be read now", extra={"key": key}, exc_info=True)

    def _size(self, key: str) -> int:
        try:
            return self._store.stat(key).size
        except ObjectStoreError:
            return 0


def looker(engine: Engine, sub_task_id: int) -> Callable[[], Look]:
    """Looks into the database, each time in a short transaction of its own."""

    def look() -> Look:
        with Session(engine) as session:
            sub_task = session.get(SubTask, sub_task_id)
            if sub_task is None:
                return Look((), ended=True)
            origin = session.get_one(SubTask, origin_of(sub_task))
            run_uuid = session.scalars(select(Run.run_uuid).where(Run.id == origin.run_id)).one()
            keys = tuple(
                attempt.log_key or log_key(run_uuid, str(attempt.attempt_id))
                for attempt in attempts_of(session, sub_task)
            )
            return Look(keys, sub_task.state in ENDED_SUB_TASKS)

    return look
