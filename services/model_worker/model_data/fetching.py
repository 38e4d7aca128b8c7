"""Fetches the files of a manifest, checks each by its SHA-256, and goes on where an earlier try has ended."""

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from services.model_worker.model_data.errors import DataDiffer
from shared.broker.delays import backoff
from shared.model_storage import MANIFEST, BadManifest, Manifest
from shared.object_store import ObjectNotFound, ObjectStore, ObjectStoreUnavailable
from shared.object_store.files import replacing
from shared.object_store.keys import TEMPORARY_PREFIX

log = logging.getLogger(__name__)

_AT_ONCE = 4
_TRIES = 6
_LONGEST_WAIT = 20.0
_BLOCK = 1 << 20
_LARGEST_MANIFEST = 256 << 20
_SAY_EVERY = 10.0


@dataclass(frozen=True)
class ModelStore:
    """The data of one model: `store`, and the prefix of their keys."""

    store: ObjectStore
    prefix: str

    def manifest(self) -> Manifest:
        """Raises ObjectNotFound where there is none, DataDiffer where it cannot be used, and the store's errors."""
        with self.store.open(f"{self.prefix}{MANIFEST}", 0, _LARGEST_MANIFEST) as stream:
            content = stream.read()
        try:
            return Manifest.read(content)
        except BadManifest as error:
            raise DataDiffer(f"The manifest {self.prefix}{MANIFEST} cannot be used: {error}.") from error

    def sizes(self, manifest: Manifest) -> dict[str, int]:
        """Bytes of each file of the manifest. Raises DataDiffer where one is not there."""
        found = {info.key.removeprefix(self.prefix): info.size for info in self.store.list(self.prefix)}
        missing = sorted(manifest.files.keys() - found.keys())
        if missing:
            raise DataDiffer(
                f"The model storage lacks {len(missing)} of {len(manifest.files)} files that {self.prefix}{MANIFEST} "
                f"names, {missing[0]} for one: push the model's data again."
            )
        return {path: found[path] for path in manifest.files}


def missing_files(manifest: Manifest, folder: Path) -> list[str]:
    """The paths that are not there with the right content. What an earlier try left half-way is removed."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        path.unlink()
    return [path for path, digest in manifest.files.items() if _digest(folder / path) != digest]


def fetch(source: ModelStore, manifest: Manifest, sizes: Mapping[str, int], folder: Path) -> None:
    """Put the files that `sizes` names (bytes by path) into the folder.

    Raises DataDiffer, the store's errors and OSError.
    """
    progress = Progress(sum(sizes.values()), {"model": source.prefix, "files": len(sizes)})
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="model-data")
    try:
        # The largest first, so that the last to end is no large one that began late.
        largest_first = sorted(sizes, key=lambda path: (-sizes[path], path))
        for _ in pool.map(lambda path: _fetch(source, path, manifest.files[path], folder, progress), largest_first):
            pass
    finally:
        progress.is_over = True
        pool.shutdown(cancel_futures=True)


class _Over(Exception):
    """Another file has failed: there is no sense in the rest of this one."""


@dataclass
class Progress:
    """Bytes that have come, told to the log every few seconds; those of files that begin again count again."""

    total: int
    facts: Mapping[str, Any]
    done: int = 0
    is_over: bool = False
    _said: float = field(default_factory=time.monotonic, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def add(self, count: int) -> None:
        """So many more."""
        if self.is_over:
            raise _Over
        with self._lock:
            self.done += count
            if time.monotonic() - self._said < _SAY_EVERY:
                return
            self._said = time.monotonic()
        log.info("Fetching the model's data", extra={**self.facts, "fetched": self.done, "bytes": self.total})


def _fetch(source: ModelStore, path: str, digest: str, folder: Path, progress: Progress) -> None:
    """One file, tried again while the store is not available."""
    delays = backoff(cap=_LONGEST_WAIT)
    for trial in range(1, _TRIES + 1):
        try:
            return _fetch_once(source, path, digest, folder, progress)
        except ObjectNotFound as error:
            raise DataDiffer(
                f"The model storage has lost {source.prefix}{path}: push the model's data again."
            ) from error
        except ObjectStoreUnavailable as error:
            if trial == _TRIES:
                raise
            log.warning("A file of the model does not come; it is tried again", extra={"reason": str(error)})
            time.sleep(next(delays))
    return None


def _fetch_once(source: ModelStore, path: str, digest: str, folder: Path, progress: Progress) -> None:
    target, found = folder / path, hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.store.open(f"{source.prefix}{path}") as stream, replacing(target) as file:
        while block := stream.read(_BLOCK):
            found.update(block)
            file.write(block)
            progress.add(len(block))
        if found.hexdigest() != digest:
            raise DataDiffer(
                f"The file {source.prefix}{path} of the model storage is not the one that its manifest names (SHA-256 "
                f"{found.hexdigest()[:12]}…, not {digest[:12]}…): push the model's data again, with --all."
            )
        file.flush()
        os.fsync(file.fileno())


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
