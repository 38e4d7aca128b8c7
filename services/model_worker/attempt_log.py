"""The log of an attempt: its lines in a file here, and in the object store every few seconds while it grows.

A log that cannot be written or uploaded never changes an outcome.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from services.model_worker.log_limits import BoundedLog
from shared.object_store import ObjectStore

log = logging.getLogger(__name__)

_IDLE_PER_UPLOAD = 10
"""An upload is the whole log: after one that took t seconds, at least this many t pass until the next."""


class AttemptLog:
    """Lines as they came, as bytes. Of more than `limit` bytes, the middle is left out."""

    def __init__(self, path: Path, store: ObjectStore, key: str, limit: int | None = None) -> None:
        self._path = path
        self._store = store
        self._key = key
        self._limit = limit
        self._file: BoundedLog | None = None
        self._uploaded = 0
        self._lost_lines = 0

    def write(self, line: bytes) -> None:
        """Append a line."""
        try:
            if self._file is None:
                self._file = BoundedLog(self._path, self._limit)
            self._file.write(line)
        except OSError as error:
            self._lost_lines += 1
            if self._lost_lines == 1:  # the others are lost for the same reason, and may be many
                log.warning("Log lines are lost", extra={"log": self._key, "reason": str(error)})

    @asynccontextmanager
    async def uploading(self, every: float) -> AsyncIterator[None]:
        """Upload what there is, every so many seconds, while inside."""
        ended = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            tasks.append(asyncio.create_task(self._keep_uploading(every, ended)))

        # A timer first, for most attempts end before it: they need no task.
        timer = asyncio.get_running_loop().call_later(every, begin)
        try:
            yield
        finally:
            timer.cancel()
            # Not cancelled: an upload that went on in its thread could come after the last one, and shorten the log.
            ended.set()
            await asyncio.gather(*tasks)

    async def finish(self) -> str | None:
        """Upload all of it; returns its key, or None where there is no log."""
        if self._file is not None:
            try:
                await asyncio.to_thread(self._file.close)
            except OSError as error:
                log.warning("The end of a log is lost", extra={"log": self._key, "reason": str(error)})
        await self._upload()
        return self._key if self._uploaded else None

    async def _keep_uploading(self, every: float, ended: asyncio.Event) -> None:
        while not ended.is_set():
            pause = max(every, _IDLE_PER_UPLOAD * await self._upload())
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), pause)

    async def _upload(self) -> float:
        """Upload if the log has grown; returns how many seconds it took."""
        size, began = self._file.size if self._file else 0, asyncio.get_running_loop().time()
        if size > self._uploaded:
            try:
                await asyncio.to_thread(self._store.put_file, self._key, self._path, content_type="text/plain")
                self._uploaded = size
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the store, the outcome stands
                log.warning("A log cannot be uploaded", extra={"log": self._key, "reason": str(error)})
        return asyncio.get_running_loop().time() - began
