"""From errors of the file system to errors of the object store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.object_store.errors import InvalidKey, ObjectStoreDenied, ObjectStoreError, ObjectStoreUnavailable

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""What opening a file for reading answers where there is no object: nothing, or something that is not a plain file."""

VANISHED = frozenset({errno.ENOENT, errno.ESTALE})
"""A folder that somebody else removed meanwhile; ESTALE is how NFS says that another machine did it."""

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOT_A_KEY = {
    errno.ENOTDIR: "a part of it is an object or a symbolic link, not a folder",
    errno.ELOOP: "a part of it is a symbolic link, and links are not followed",
    errno.EISDIR: "it is a folder of other objects",
    errno.ENOTEMPTY: "it is a folder of other objects",
    errno.EEXIST: "it is a folder of other objects",
    errno.ENAMETOOLONG: "the file system finds it too long",
    errno.EILSEQ: "the file system cannot store its characters",
}


def to_store_error(error: OSError, key: str | None, root: Path) -> ObjectStoreError:
    """The object store's error for this error of the file system under `root`; what is unknown is retryable.

    That something is absent (ABSENT) means different things to a reader and a writer, so readers decide it themselves.
    """
    number = error.errno or 0
    if key is not None and number in _NOT_A_KEY:
        return InvalidKey(key, _NOT_A_KEY[number])
    if number in _DENIED:
        return ObjectStoreDenied(f"The folder {root} refuses access ({error.strerror}): check its rights.", key=key)
    return ObjectStoreUnavailable(
        f"The folder {root} cannot be used now ({error.strerror or error}): check that it is mounted and not full.",
        key=key,
    )


@contextmanager
def mapped(key: str | None, root: Path) -> Iterator[None]:
    """Raise the object store's error for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise to_store_error(error, key, root) from error
