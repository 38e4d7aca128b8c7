"""Files as answers, streamed from the store. Source: oasis_api.md sections 0 and 1.6."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO
from urllib.parse import quote

from flask import Response

from services.api.call import Call
from services.api.errors import OutOfRange
from services.api.http import empty_answer
from services.api.presigned_downloads import store_redirect
from services.api.ranges import etag_of, is_known, wanted_part
from shared.database.resources import File

CHUNK_BYTES = 64 * 1024


class Blocks:
    """Blocks of an answer, and what to close when they end, or when the client goes before the first."""

    def __init__(self, blocks: Iterator[bytes], close: Callable[[], None]) -> None:
        self._blocks = blocks
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._blocks
        finally:
            self.close()


def blocks_of(stream: BinaryIO) -> Blocks:
    """A stream in blocks; it is closed with the answer."""
    return Blocks(iter(partial(stream.read, CHUNK_BYTES), b""), stream.close)


def file_answer(call: Call, file: File) -> Response:
    """A stored file, or the part that is wanted, with its own type and name; or where the store has it.

    Raises ObjectNotFound where its object is gone, OutOfRange, BadRequest.
    """
    request, etag = call.request, etag_of(file.key)
    if is_known(request.if_none_match, etag):
        return _with_etag(empty_answer(304), etag)
    redirect = store_redirect(call, file, disposition(file.filename))
    if redirect is not None:
        return redirect
    part = wanted_part(request.range, request.if_range, etag, file.size)
    if part is None:
        raise OutOfRange(file.size)
    # Opened before the answer begins, so that what is missing is an error and not a broken body.
    blocks = blocks_of(call.store.open(file.key, part.start, part.end))
    answer = _with_etag(stream_answer(blocks, file.filename, file.content_type), etag)
    answer.content_length = part.end - part.start
    if not part.is_whole:
        answer.status_code = 206
        answer.headers["Content-Range"] = part.content_range()
    return answer


def _with_etag(answer: Response, etag: str) -> Response:
    answer.set_etag(etag)
    answer.headers["Accept-Ranges"] = "bytes"
    return answer


def stream_answer(blocks: Iterable[bytes], filename: str, content_type: str) -> Response:
    """Blocks of bytes as a file. The type is sent as it is, without a charset: clients compare it."""
    answer = Response(blocks, content_type=content_type)
    answer.headers["Content-Disposition"] = disposition(filename)
    return answer


def disposition(filename: str) -> str:
    """The header that names a download; names beyond ASCII are added as RFC 6266 has it."""
    plain = "".join(each if each.isascii() and each.isprintable() else "_" for each in filename)
    plain = plain.replace("\\", "\\\\").replace('"', '\\"')
    header = f'attachment; filename="{plain}"'
    return header if filename.isascii() else f"{header}; filename*=UTF-8''{quote(filename, safe='')}"
