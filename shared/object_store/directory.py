"""Objects as files below a directory, local or on a share that several machines mount.

A put writes a temporary file in the object's own folder, syncs it, renames it and syncs the folder: no locks, and a
writer that dies at any line leaves nothing visible. What it leaves invisible is swept by `delete_prefix` a day later.
Limit: on NFS a reader of an object that another machine replaces may get ObjectStoreUnavailable (ESTALE), and should
ask again.
"""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from shared.object_store import directory_tree as tree
from shared.object_store.directory_errors import ABSENT, VANISHED, mapped
from shared.object_store.errors import InvalidKey, ObjectNotFound
from shared.object_store.keys import validate_key, validate_prefix
from shared.object_store.port import COPY_BYTES, ObjectInfo, ObjectStore, check_range
from shared.object_store.raw_file import FileReader, copy_all, write_all


class DirectoryStore(ObjectStore):
    """Needs a root that exists: a share that is not mounted must not look like an empty store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self.root)!r})"

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> ObjectInfo:  # noqa: ARG002
        *folders, leaf = validate_key(key).split("/")
        with self._pending(key, folders) as pending:
            while chunk := stream.read(COPY_BYTES):
                with mapped(key, self.root):
                    write_all(pending.descriptor, chunk)
            return self._commit(key, pending, leaf)

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        check_range(start, end)
        reader = FileReader(self._open_file(key), start, end, lambda: mapped(key, self.root))
        return io.BufferedReader(reader, COPY_BYTES)

    def stat(self, key: str) -> ObjectInfo:
        with tree.opened(self._open_file(key)) as descriptor, mapped(key, self.root):
            return _info(key, os.fstat(descriptor))

    def copy(self, source: str, target: str) -> ObjectInfo:
        *folders, leaf = validate_key(target).split("/")
        if source == target:
            return self.stat(source)
        with (
            tree.opened(self._open_file(source)) as descriptor,
            self._pending(target, folders) as pending,
        ):
            with mapped(target, self.root):
                copy_all(descriptor, pending.descriptor)
            return self._commit(target, pending, leaf)

    def delete(self, key: str) -> None:
        names = validate_key(key).split("/")
        if self._remove_file(key, names):
            with mapped(None, self.root):
                tree.prune(self.root, names[:-1])

    def delete_prefix(self, prefix: str) -> int:
        if not validate_prefix(prefix):
            raise InvalidKey(prefix, "the empty prefix would delete the whole store")
        names = prefix.removesuffix("/").split("/")
        removed = 0 if prefix.endswith("/") else int(self._remove_file(prefix, names))
        with mapped(None, self.root):
            removed += self._remove_below(names)
            tree.prune(self.root, names)
        return removed

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        names = validate_prefix(prefix).removesuffix("/").split("/") if prefix else []
        return self._list(prefix, names)

    def check(self) -> None:
        """Write and remove a file: mounted, writable, not full."""
        with mapped(None, self.root):
            probe = tree.new_file(self.root, ())
            try:
                write_all(probe.descriptor, b"check")
                os.fsync(probe.descriptor)
            finally:
                probe.discard()

    @contextmanager
    def _pending(self, key: str, folders: Sequence[str]) -> Iterator[tree.PendingFile]:
        """Errors of the block, which may be those of the caller's stream, pass through as they are."""
        with mapped(key, self.root):
            pending = tree.new_file(self.root, folders)
        try:
            yield pending
        finally:
            with mapped(key, self.root):
                pending.discard()

    def _commit(self, key: str, pending: tree.PendingFile, leaf: str) -> ObjectInfo:
        with mapped(key, self.root):
            return _info(key, pending.commit(leaf))

    def _open_file(self, key: str) -> int:
        names = validate_key(key).split("/")
        with mapped(key, self.root):
            try:
                return tree.open_file(self.root, names)
            except OSError as error:
                if error.errno in ABSENT:
                    raise ObjectNotFound(key) from error
                raise

    def _remove_file(self, key: str, names: Sequence[str]) -> bool:
        with mapped(key, self.root):
            try:
                return tree.remove_file(self.root, names)
            except OSError as error:
                if error.errno in ABSENT:
                    return False
                raise

    def _remove_below(self, names: Sequence[str]) -> int:
        try:
            with tree.opened(tree.open_folder(self.root, names)) as folder:
                return tree.remove_contents(folder)
        except OSError as error:
            if error.errno in ABSENT:
                return 0
            raise

    def _list(self, prefix: str, names: Sequence[str]) -> Iterator[ObjectInfo]:
        if prefix and not prefix.endswith("/"):
            with suppress(ObjectNotFound):
                yield self.stat(prefix)
        with mapped(None, self.root):
            yield from self._walk(names)

    def _walk(self, names: Sequence[str]) -> Iterator[ObjectInfo]:
        """A folder is read at once and closed, so that a consumer that stops half-way leaves nothing open."""
        try:
            with tree.opened(tree.open_folder(self.root, names)) as folder:
                found = tree.entries(folder)
        except OSError as error:
            if error.errno in ABSENT | VANISHED:
                return
            raise
        for name, facts in found:
            if stat.S_ISDIR(facts.st_mode):
                yield from self._walk((*names, name))
            else:
                yield _info("/".join((*names, name)), facts)


def _info(key: str, facts: os.stat_result) -> ObjectInfo:
    etag = f"{facts.st_mtime_ns:x}-{facts.st_size:x}-{facts.st_ino:x}"
    return ObjectInfo(key, facts.st_size, etag, datetime.fromtimestamp(facts.st_mtime, UTC))
