"""An object store in memory. It passes the suite that the real ones pass (tests/object_store)."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import BinaryIO
from uuid import uuid4

from shared.object_store import InvalidKey, ObjectInfo, ObjectNotFound, ObjectStore
from shared.object_store.keys import validate_key, validate_prefix
from shared.object_store.port import COPY_BYTES, check_range


@dataclass(frozen=True)
class _Object:
    info: ObjectInfo
    content: bytes


class MemoryStore(ObjectStore):
    """As strict as files in a directory: no object below another object's key. `objects` may be looked at by tests."""

    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}
        self._lock = Lock()

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> ObjectInfo:  # noqa: ARG002
        validate_key(key)
        chunks = []
        while chunk := stream.read(COPY_BYTES):
            chunks.append(bytes(chunk))
        return self._store(key, b"".join(chunks))

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        check_range(start, end)
        return io.BufferedReader(_ForwardOnly(self._find(key).content[start:end]), COPY_BYTES)

    def stat(self, key: str) -> ObjectInfo:
        return self._find(key).info

    def copy(self, source: str, target: str) -> ObjectInfo:
        validate_key(target)
        found = self._find(source)
        return found.info if source == target else self._store(target, found.content)

    def delete(self, key: str) -> None:
        validate_key(key)
        with self._lock:
            self.objects.pop(key, None)

    def delete_prefix(self, prefix: str) -> int:
        if not validate_prefix(prefix):
            raise InvalidKey(prefix, "the empty prefix would delete the whole store")
        with self._lock:
            doomed = [key for key in self.objects if _is_under(key, prefix)]
            for key in doomed:
                del self.objects[key]
        return len(doomed)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        validate_prefix(prefix)
        with self._lock:
            found = sorted((key, item.info) for key, item in self.objects.items() if _is_under(key, prefix))
        return (info for _, info in found)

    def check(self) -> None:
        return

    def _find(self, key: str) -> _Object:
        validate_key(key)
        with self._lock:
            if key not in self.objects:
                raise ObjectNotFound(key)
            return self.objects[key]

    def _store(self, key: str, content: bytes) -> ObjectInfo:
        info = ObjectInfo(key, len(content), uuid4().hex, datetime.now(UTC))
        with self._lock:
            if any(_is_under(other, f"{key}/") or _is_under(key, f"{other}/") for other in self.objects):
                raise InvalidKey(key, "it is a folder of other objects, or below an object")
            self.objects[key] = _Object(info, content)
        return info


class _ForwardOnly(io.RawIOBase):
    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray, /) -> int:
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _is_under(key: str, prefix: str) -> bool:
    """By whole segments: "a/b" holds "a/b" and "a/b/c" but never "a/bc"."""
    if not prefix or key == prefix:
        return True
    return key.startswith(prefix if prefix.endswith("/") else f"{prefix}/")
