"""Folders and files below a root, reached one segment at a time through descriptors.

Every step is `openat` with O_NOFOLLOW, so that no symbolic link below the root is ever followed, not even one that is
put there between two steps. Opening each folder also makes an NFS client ask the server whether it changed.
Functions raise OSError; paths are sequences of segments.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from uuid import uuid4

from shared.object_store.directory_errors import VANISHED
from shared.object_store.errors import ObjectStoreDenied, ObjectStoreUnavailable
from shared.object_store.keys import TEMPORARY_PREFIX, is_segment

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after the last write when a temporary file belongs to a writer that died. Far above clock differences."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RACES = 1000
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES})
_CANNOT_PRUNE = frozenset(
    {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR, errno.EACCES, errno.EPERM} | VANISHED
)


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """Close the descriptor at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_folder(root: Path, names: Sequence[str], *, create: bool = False) -> int:
    """Descriptor of a folder below the root. A missing root is ObjectStoreUnavailable, not a missing object."""
    folder = _open_root(root)
    for name in names:
        with opened(folder):
            folder = _enter(folder, name, create=create)
    return folder


def open_file(root: Path, names: Sequence[str]) -> int:
    """Descriptor of a plain file to read; ENOENT for anything that is not one."""
    with opened(open_folder(root, names[:-1])) as folder:
        # O_NONBLOCK: opening a FIFO that somebody left here must not wait for its writer.
        descriptor = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "not a plain file", names[-1])
    return descriptor


@dataclass(frozen=True)
class PendingFile:
    """A file that nobody sees yet, in the folder where it will be. `discard` it in any case, committed or not."""

    folder: int
    name: str
    descriptor: int

    def commit(self, leaf: str) -> os.stat_result:
        """Make it durable, then visible under its name, then make the name durable."""
        os.fsync(self.descriptor)
        facts = os.fstat(self.descriptor)
        try:
            self._rename(leaf)
        except IsADirectoryError:
            # A folder that lost its last object is in nobody's way; one with objects fails here with ENOTEMPTY.
            with suppress(FileNotFoundError):
                os.rmdir(leaf, dir_fd=self.folder)
            self._rename(leaf)
        sync_folder(self.folder)
        return facts

    def discard(self) -> None:
        """Close it, and remove what was not committed."""
        with opened(self.folder), opened(self.descriptor), suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.folder)

    def _rename(self, leaf: str) -> None:
        os.replace(self.name, leaf, src_dir_fd=self.folder, dst_dir_fd=self.folder)


def new_file(root: Path, folders: Sequence[str]) -> PendingFile:
    """A temporary file in a folder that is made if need be.

    Retried from the root while others remove emptied folders; once the file is there, its folder cannot go.
    """
    for _ in range(_RACES):
        try:
            return _try_new_file(open_folder(root, folders, create=True))
        except OSError as error:
            if error.errno not in VANISHED:
                raise
    raise ObjectStoreUnavailable(f"Folders below {root} disappear as fast as they are made: who else cleans there?")


def sync_folder(folder: int) -> None:
    """fsync a folder where its file system can: SMB and some FUSE file systems refuse, and have nothing to sync."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def entries(folder: int) -> list[tuple[str, os.stat_result]]:
    """Files and folders that may be parts of keys, in key order: a folder sorts as its name with "/" behind it."""
    found = [entry for entry in _facts(folder) if is_segment(entry[0])]
    return sorted(found, key=lambda entry: f"{entry[0]}/" if stat.S_ISDIR(entry[1].st_mode) else entry[0])


def remove_contents(folder: int) -> int:
    """Delete the objects below a folder, the folders that this empties and abandoned temporary files; count objects."""
    removed = 0
    for name, facts in _facts(folder):
        if is_segment(name):
            removed += _remove_folder(folder, name) if stat.S_ISDIR(facts.st_mode) else _unlink(folder, name)
        elif name.startswith(TEMPORARY_PREFIX) and facts.st_mtime < time() - ABANDONED_AFTER:
            _unlink(folder, name)
    return removed


def remove_file(root: Path, names: Sequence[str]) -> bool:
    """Delete a plain file; False where there is none."""
    with opened(open_folder(root, names[:-1])) as folder:
        if not stat.S_ISREG(os.stat(names[-1], dir_fd=folder, follow_symlinks=False).st_mode):
            return False
        return _unlink(folder, names[-1])


def prune(root: Path, names: Sequence[str]) -> None:
    """Remove this folder and those above it (never the root) as long as they are empty."""
    for depth in range(len(names), 0, -1):
        try:
            with opened(open_folder(root, names[: depth - 1])) as parent:
                os.rmdir(names[depth - 1], dir_fd=parent)
        except OSError as error:
            if error.errno in VANISHED:
                continue  # an object had this name, or somebody was faster; what is above may be empty all the same
            if error.errno in _CANNOT_PRUNE:
                return
            raise


def _open_root(root: Path) -> int:
    try:
        return os.open(root, _FOLDER)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectStoreUnavailable(
            f"The folder {root} of the object store is missing: create or mount it."
        ) from error
    except PermissionError as error:
        raise ObjectStoreDenied(f"The folder {root} of the object store refuses access: check its rights.") from error


def _enter(folder: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
        sync_folder(folder)
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _try_new_file(folder: int) -> PendingFile:
    name = f"{TEMPORARY_PREFIX}{uuid4().hex}"
    try:
        # 0o666 and the umask decide: on a share, other services (other users, perhaps) must read what this one wrote.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return PendingFile(folder, name, os.open(name, flags, 0o666, dir_fd=folder))
    except BaseException:
        os.close(folder)
        raise


def _facts(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        names = [entry.name for entry in found]
    for name in names:
        with suppress(FileNotFoundError):  # deleted since
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode):
                yield name, facts


def _remove_folder(parent: int, name: str) -> int:
    try:
        with opened(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)) as folder:
            removed = remove_contents(folder)
    except OSError as error:
        if error.errno in VANISHED:
            return 0
        raise
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in _CANNOT_PRUNE:
            raise
    return removed


def _unlink(folder: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
