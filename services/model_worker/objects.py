"""Objects on this worker's disk: fetched once, immutable, linked into the attempts that read them."""

import asyncio
import hashlib
import os
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from services.model_worker.step_contract import InputFile
from shared.core.inputs import FileRef
from shared.object_store import ObjectStore

T = TypeVar("T")

_AT_ONCE = 8


class ObjectCache:
    """Objects by key below `directory`. Keys are never written twice, so what is there is what the store has."""

    def __init__(self, store: ObjectStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def link(self, reference: FileRef, folder: Path) -> InputFile:
        """A link to the object in the attempt's folder. Raises the store's errors."""
        cached = self._path(reference.key)
        await self._fetch(reference.key, cached)
        target = folder / hashlib.sha256(reference.key.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(cached)
        return InputFile(target, reference.filename)

    def forget_older_than(self, seconds: float) -> None:
        """Remove what nobody has linked for so long. Attempts that have links keep their files."""
        oldest = time.time() - seconds
        for path in self._directory.glob("*/*"):
            with suppress(FileNotFoundError):  # one that was being fetched has got its name
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._directory / name[:2] / name

    async def _fetch(self, key: str, path: Path) -> None:
        """One fetch for all that want the object at the same time."""
        if path.exists():
            os.utime(path)
            return
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.create_task(self._get(key, path))
            fetching.add_done_callback(lambda _: self._fetching.pop(key, None))
        await asyncio.shield(fetching)

    async def _get(self, key: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        async with self._gate:
            await asyncio.to_thread(self._store.get_file, key, path)


async def all_of(works: Iterable[Coroutine[Any, Any, T]]) -> tuple[T, ...]:
    """All results, in order. The first error ends the other works: they would go on in a folder that is removed."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
