"""Members of stored tar archives, read as streams. Source: oasis_api.md section 1.5."""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import PurePath
from typing import IO, cast

from flask import Response

from services.api.call import Call
from services.api.downloads import CHUNK_BYTES, Blocks, stream_answer
from services.api.errors import BadRequest
from shared.database.resources import File

_TYPES = {
    ".parquet": "application/octet-stream",
    ".pq": "application/octet-stream",
    ".csv": "text/csv",
    ".json": "application/json",
}
_OTHER_TYPE = "text/html; charset=utf-8"


def member_names(call: Call, file: File) -> list[str]:
    """The names of the files in a stored archive."""
    with _readable(file), call.store.open(file.key) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
        return [member.name for member in archive if member.isfile()]


def member_answer(call: Call, file: File, name: str) -> Response:
    """One member of a stored archive. Raises BadRequest where there is none of this name."""
    with ExitStack() as stack:
        stack.enter_context(_readable(file))
        stream = stack.enter_context(call.store.open(file.key))
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode="r|*"))
        member = next((each for each in archive if each.isfile() and each.name == name), None)
        if member is None:
            raise BadRequest(["Invalid filename."])
        source = stack.enter_context(cast("IO[bytes]", archive.extractfile(member)))
        blocks = Blocks(iter(partial(source.read, CHUNK_BYTES), b""), stack.pop_all().close)
    path = PurePath(name)
    return stream_answer(blocks, path.name, _TYPES.get(path.suffix.lower(), _OTHER_TYPE))


@contextmanager
def _readable(file: File) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BadRequest({"detail": f"The archive '{file.filename}' cannot be read: {error}"}) from error
