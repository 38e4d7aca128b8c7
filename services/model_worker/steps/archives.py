"""Archives between sub-tasks: written in a stable order, extracted under a temporary name, trusted in nothing."""

import gzip
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from isal import igzip, isal_zlib

from shared.settings import Options

from .errors import ArchiveError
from .members import as_it_is, changed, harmless

FAST = 1
"""Level of what only other sub-tasks read: the network is quicker than the processor."""
SMALL = 3
"""Level of what users download. The levels are those of ISA-L, 0 to 3."""

ADDED_BY_RUN = {"LOSSLINE.added": "run"}
"""PAX header of a member that a loss run put into an inputs archive; left out when the archive starts another run."""

DEFAULT_LIMIT = 256 * 1024**3
"""Bytes of all members of an archive together."""
MOST_MEMBERS = 1_000_000
_BLOCK = 1 << 20

MemberFilter = Callable[[tarfile.TarInfo], tarfile.TarInfo | None]


def create(
    archive: Path, source: Path, *, prefix: str = "", level: int = FAST, keep: MemberFilter = lambda member: member
) -> Path:
    """Write what is in `source` into `archive`, below `prefix` or at the root; `keep` may change or drop members."""
    with _gzip_writer(archive, level) as tar:
        for path in _walk(source):
            name = PurePosixPath(prefix, path.relative_to(source).as_posix())
            member = keep(tar.gettarinfo(path, arcname=str(name)))
            if member is not None:
                _add(tar, _anonymous(member), path)
    return archive


def extract(archive: Path, target: Path, *, added_by_run: bool = True) -> Path:
    """Make the directory `target` from `archive`; it appears whole or not at all.

    With `added_by_run` false, members that an earlier loss run added are left out.
    The archive is read once, from its first byte to its checksum.
    Raises ArchiveError when it is damaged, a member would land outside, or it would take more room than
    OASIS_WORKER_ARCHIVE_LIMIT or the disk have.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
    partial.mkdir(parents=True)
    try:
        with igzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK) as tar:
                members = (each for each in _within_limits(tar, partial) if added_by_run or not _was_added(each))
                tar.extraction_filter = as_it_is
                tar.extractall(partial, (harmless(each, partial) for each in members))  # noqa: S202 - each is looked at
            while stream.read(_BLOCK):  # the checksum comes after what tar reads
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, isal_zlib.error) as error:
        raise ArchiveError(f"The archive {archive.name} cannot be used: {error}") from error
    partial.rename(target)
    return target


def extract_into(archives: Sequence[Path], directory: Path) -> None:
    """Add the contents of archives, in their order, to a directory that may hold files; extracts them side by side."""
    parts = [directory.with_name(f".{directory.name}.part-{number}") for number in range(len(archives))]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for part in pool.map(extract, archives, parts):
            merge(part, directory)


def merge(source: Path, target: Path) -> None:
    """Move every file below `source` to the same place below `target`; `source` is gone afterwards."""
    for path in _walk(source):
        place = target / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    target.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(source)


def copy_with(source: Path, archive: Path, addition: Path) -> Path | None:
    """Copy an inputs archive with one file of a loss run added at its root; None if it has one itself."""
    with tarfile.open(source) as old, _gzip_writer(archive, SMALL) as new:
        for member in old:
            if _was_added(member):
                continue
            if PurePosixPath(member.name) == PurePosixPath(addition.name):
                break
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
        else:
            member = _anonymous(new.gettarinfo(addition, arcname=addition.name))
            member.pax_headers = dict(ADDED_BY_RUN)
            _add(new, member, addition)
            return archive
    archive.unlink()
    return None


@contextmanager
def _gzip_writer(archive: Path, level: int) -> Iterator[tarfile.TarFile]:
    """Open an archive for writing, without its name and the time: the same content gives the same bytes."""
    with (
        archive.open("wb") as file,
        igzip.IGzipFile(filename="", fileobj=file, mode="wb", compresslevel=level, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield tar


def _walk(root: Path) -> Iterator[Path]:
    """Everything below `root`, parents first, in the order of the names; links are not followed."""
    for path in sorted(root.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isreg():
        with path.open("rb") as content:
            tar.addfile(member, content)
    else:
        tar.addfile(member)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names and ids of the users of this machine."""
    return changed(member, uid=0, gid=0, uname="", gname="", mtime=int(member.mtime))


def _was_added(member: tarfile.TarInfo) -> bool:
    return ADDED_BY_RUN.items() <= member.pax_headers.items()


def _within_limits(tar: tarfile.TarFile, place: Path) -> Iterator[tarfile.TarInfo]:
    """The members, read one by one, so that the content of a bomb is never unpacked, not even to find its end."""
    limit = Options("WORKER").size("ARCHIVE_LIMIT", DEFAULT_LIMIT)
    free = shutil.disk_usage(place).free
    total = 0
    for number, member in enumerate(tar, start=1):
        total += member.size
        if limit is not None and total > limit:
            raise tarfile.TarError(f"it unpacks to more than {limit} bytes, which OASIS_WORKER_ARCHIVE_LIMIT allows")
        if total > free:
            raise tarfile.TarError(f"it unpacks to more than the {free} bytes that are free at {place.parent}")
        if number > MOST_MEMBERS:
            raise tarfile.TarError(f"it has more than {MOST_MEMBERS} members")
        yield member
