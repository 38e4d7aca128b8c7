"""What a member of an archive may be, and where it may lie.

The rules are those of the standard library's `data` filter, which Python has only since 3.11.4; Debian 12 has 3.11.2.
"""

import copy
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

_LONGEST = 4000
"""Bytes of a path: what the kernel cannot follow, it cannot check either."""


class RefusedMember(tarfile.TarError):
    """A member is not extracted."""

    def __init__(self, member: tarfile.TarInfo, reason: str) -> None:
        super().__init__(f"its member {member.name!r} {reason}")


def changed(member: tarfile.TarInfo, **values: Any) -> tarfile.TarInfo:
    """A copy with other values."""
    other = copy.copy(member)
    for name, value in values.items():
        setattr(other, name, value)
    return other


def harmless(member: tarfile.TarInfo, place: Path) -> tarfile.TarInfo:
    """The member as it may be extracted into `place`: inside, a file, a folder or a link, and ours. Raises TarError.

    What was extracted before is looked at, so that no link leads outside either: ask right before each extraction.
    """
    if PurePosixPath(member.name).is_absolute():
        raise RefusedMember(member, "has an absolute name")
    _check_inside(member, place, member.name)
    if member.issym():
        if PurePosixPath(member.linkname).is_absolute():
            raise RefusedMember(member, f"is a link to the absolute {member.linkname!r}")
        _check_inside(member, place, os.path.join(os.path.dirname(member.name), member.linkname))  # noqa: PTH118, PTH120
    elif member.islnk():
        _check_inside(member, place, member.linkname)
    elif not (member.isreg() or member.isdir()):
        raise RefusedMember(member, "is neither a file nor a folder nor a link")
    return changed(member, mode=_mode(member), uid=os.geteuid(), gid=os.getegid(), uname="", gname="")


def as_it_is(member: tarfile.TarInfo, _place: str) -> tarfile.TarInfo:
    """For Pythons that ask for a filter: the members have been looked at."""
    return member


def _check_inside(member: tarfile.TarInfo, place: Path, name: str) -> None:
    root = os.path.realpath(place)
    path = os.path.join(root, name)  # noqa: PTH118 - `Path` drops what has to be looked at
    if len(os.fsencode(path)) > _LONGEST:
        raise RefusedMember(member, "has a name that is too long")
    if os.path.commonpath([os.path.realpath(path), root]) != root:
        raise RefusedMember(member, "would land outside")


def _mode(member: tarfile.TarInfo) -> int:
    if member.isdir():
        return 0o755
    kept = member.mode & 0o755 | 0o600
    return kept if kept & 0o100 else kept & ~0o111
