"""What a client asks for: the bytes of its memory file. Pure. The other side is `client.c` (and `client.py`)."""

import os
import struct
from dataclasses import dataclass

MAGIC = b"LLW1"
HEAD = struct.Struct("@4sIIIIIQQ")
"""Magic, umask, number of descriptors, of arguments, of variables, unused, and two sets of signals (bit n-1 is n)."""

FORKED = b"F"
"""From here on the call is never executed a second time."""
ENDED = b"E"
"""Followed by `STATUS`."""
STATUS = struct.Struct("@i")
"""A wait status (see os.waitstatus_to_exitcode)."""


class BadRequestError(Exception):
    """The bytes are no request: whoever has connected is no client of this version."""


@dataclass(frozen=True)
class Request:
    """One call of a program."""

    arguments: tuple[bytes, ...]
    """The first is the name that it was called by."""
    environ: dict[bytes, bytes]
    """The whole of it, as the caller's."""
    targets: tuple[int, ...]
    """The numbers, at the caller's, of the descriptors that were passed, in their order."""
    umask: int
    ignored: frozenset[int]
    """Signals that the caller ignores."""
    blocked: frozenset[int]

    @property
    def program(self) -> str:
        """The name of the program."""
        return os.fsdecode(self.arguments[0].rpartition(b"/")[2])


def decode_request(data: bytes) -> Request:
    """Raises BadRequestError."""
    try:
        magic, umask, targets, arguments, variables, _, ignored, blocked = HEAD.unpack_from(data)
        numbers = struct.unpack_from(f"@{targets}i", data, HEAD.size)
    except struct.error as error:
        raise BadRequestError(str(error)) from error
    strings = data[HEAD.size + 4 * targets :].split(b"\0")
    if magic != MAGIC or not arguments or len(strings) != arguments + variables + 1:
        raise BadRequestError(f"{magic!r} with {len(strings)} strings")
    pairs = (text.partition(b"=") for text in strings[arguments:-1])
    return Request(
        arguments=tuple(strings[:arguments]),
        environ={name: value for name, equals, value in pairs if equals},
        targets=numbers,
        umask=umask,
        ignored=_members(ignored),
        blocked=_members(blocked),
    )


def encode_request(request: Request) -> bytes:
    """The reverse of `decode_request`."""
    targets, strings = request.targets, [*request.arguments, *(b"=".join(pair) for pair in request.environ.items())]
    counts = (len(targets), len(request.arguments), len(request.environ), 0)
    head = HEAD.pack(MAGIC, request.umask, *counts, _bits(request.ignored), _bits(request.blocked))
    return head + struct.pack(f"@{len(targets)}i", *targets) + b"".join(text + b"\0" for text in strings)


def _members(bits: int) -> frozenset[int]:
    return frozenset(number for number in range(1, 65) if bits >> (number - 1) & 1)


def _bits(numbers: frozenset[int]) -> int:
    return sum(1 << (number - 1) for number in numbers)
