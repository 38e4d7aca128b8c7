"""A model small enough to be broken a thousand times: losses that every input decides, a few lines a chunk. Pure.

Every number is a digest of what it is computed from, so that a part which is missing, doubled, of another run or of
another chunk changes the outputs.
"""

import hashlib
from collections.abc import Mapping, Sequence

EVENTS = range(1, 25)


def digest(*parts: bytes) -> str:
    """One digest of some parts; where one ends and the next begins matters."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def digest_of_files(files: Mapping[str, bytes]) -> str:
    """The digest of files by name."""
    return digest(*(part for name in sorted(files) for part in (name.encode(), files[name])))


def rows_of_chunk(location: bytes, chunk: int, chunks: int) -> list[bytes]:
    """The rows of a location file, without its header, that a chunk of the lookup has."""
    return location.splitlines()[1:][chunk::chunks]


def keys_of(rows: Sequence[bytes], params: bytes) -> bytes:
    """A line for each row: the row's digest."""
    return b"".join(f"{digest(row, params)}\n".encode() for row in rows)


def losses_of_chunk(run_location: bytes, chunk: int, chunks: int) -> bytes:
    """`event,loss` for every event of the chunk; the loss is a whole number that every byte of the run decides."""
    return b"".join(
        f"{event},{int(digest(run_location, str(event).encode())[:8], 16)}\n".encode()
        for event in EVENTS
        if event % chunks == chunk
    )


def output_of(parts: Sequence[bytes]) -> bytes:
    """The losses of all chunks in order of events, after a header. The number of chunks does not show."""
    rows = [line.split(b",") for part in parts for line in part.splitlines()]
    return b"event_id,loss\n" + b"".join(b",".join(row) + b"\n" for row in sorted(rows, key=lambda row: int(row[0])))
