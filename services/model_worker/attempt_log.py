"""The log of an attempt: its lines in a file here, and in the object store every few seconds while it grows.

A log that cannot be written or uploaded never changes an outcome.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)


class AttemptLog:
    """Lines as they came, as bytes."""

    def __init__(self, path: Path, store: ObjectStore, key: str) -> None:
        self._path = path
        self._store = store
        self._key = key
        self._size = 0
        self._uploaded = -1

    def write(self, line: bytes) -> None:
        """Append a line."""
        try:
            with self._path.open("ab") as file:
                file.write(line + b"\n")
            self._size += len(line) + 1
        except OSError as error:
            log.warning("A log line is lost", extra={"log": self._key, "reason": str(error)})

    @asynccontextmanager
    async def uploading(self, every: float) -> AsyncIterator[None]:
        """Upload what there is, every so many seconds, while inside."""
        task = asyncio.create_task(self._keep_uploading(every))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def finish(self, message: str | None) -> str | None:
        """Add why the attempt ended, upload all of it; returns its key, or None where there is no log."""
        if message:
            self.write(message.rstrip().encode())
        await self._upload()
        return self._key if self._uploaded >= 0 else None

    async def _keep_uploading(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            if self._size > self._uploaded:
                await self._upload()

    async def _upload(self) -> None:
        size = self._size
        try:
            if not self._path.exists():
                return
            await asyncio.to_thread(self._store.put_file, self._key, self._path, content_type="text/plain")
            self._uploaded = size
        except (ObjectStoreError, OSError) as error:
            log.warning("A log cannot be uploaded", extra={"log": self._key, "reason": str(error)})
