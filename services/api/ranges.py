"""Which part of a file a request wants: conditional requests and single ranges (RFC 9110, sections 13 and 14)."""

from dataclasses import dataclass
from hashlib import sha256

from werkzeug.datastructures import ETags, IfRange, Range


@dataclass(frozen=True)
class Part:
    """The bytes [start, end) of `size`."""

    start: int
    end: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return (self.start, self.end) == (0, self.size)

    def content_range(self) -> str:
        """The header that says which part it is."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def etag_of(key: str) -> str:
    """The tag of a stored file, without quotes. An object is never overwritten, so its key says which version it is."""
    return sha256(key.encode()).hexdigest()[:32]


def is_known(wanted: ETags, etag: str) -> bool:
    """Whether the client has this version already."""
    return bool(wanted) and wanted.contains_weak(etag)


def wanted_part(wanted: Range | None, condition: IfRange, etag: str, size: int) -> Part | None:
    """The part to send; None where it lies outside of the file.

    Everything is sent where no range is wanted, several are, it is not of bytes, or the client has another version.
    """
    whole = Part(0, size, size)
    changed = condition.date is not None or condition.etag not in (None, etag)
    if wanted is None or changed or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return whole
    found = wanted.range_for_length(size)
    return None if found is None else Part(found[0], found[1], size)
