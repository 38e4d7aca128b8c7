"""Objects on this worker's disk: fetched once, immutable, linked into the attempts that read them."""

import asyncio
import hashlib
import os
import time
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

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

    async def link(self, wanted: Mapping[Path, FileRef]) -> None:
        """Link each object to its path, in a folder that is there. Raises the store's errors."""
        missing = [(path, each.key) for path, each in wanted.items() if not self._link(each.key, path)]
        await all_of(self._fetch(key, path) for path, key in missing)

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

    def _link(self, key: str, path: Path) -> bool:
        """Whether the object was there to be linked."""
        cached = self._path(key)
        try:
            os.utime(cached)
            path.hardlink_to(cached)
        except FileNotFoundError:  # never there, or forgotten just now
            return False
        return True

    async def _fetch(self, key: str, path: Path) -> None:
        """One fetch for all that want the object at the same time."""
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.create_task(self._get(key, self._path(key)))
            fetching.add_done_callback(lambda _: self._fetching.pop(key, None))
        await asyncio.shield(fetching)
        path.hardlink_to(self._path(key))

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
