"""What may be uploaded, and how it is taken in. Source: oasis_api.md section 1.6."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from werkzeug.datastructures import FileStorage

from services.api.call import Call
from services.api.content_types import (
    EXPOSURE_TYPES,
    JSON_TYPES,
    NO_TYPE,
    extension_of,
    is_type,
    reading_name,
    type_of,
    type_problem,
)
from services.api.contents import content_problem, exposure_problem, json_problem
from services.api.errors import BadRequest, TooLarge, UnsupportedMediaType
from services.api.filenames import name_problem
from services.api.files import store_file, stored_name
from services.api.rows import UnreadableRows, count_rows
from services.api.serialize.moments import moment
from shared.database.resources import File

_AROUND_FILE = 64 * 1024
"""Bytes of a multipart body around its file."""


@dataclass(frozen=True)
class Upload:
    """A file of a request, spooled; its stream is seekable."""

    stream: BinaryIO
    filename: str
    content_type: str


def expect_file(call: Call) -> None:
    """The body may be as large as a file, which another limit holds for than for JSON."""
    limit = call.dependencies.settings.upload_limit
    call.request.max_content_length = limit + _AROUND_FILE if limit else None


def uploaded_file(call: Call, allowed: tuple[str, ...]) -> Upload:
    """The part called `file`, of an allowed type (of any, if none is named).

    Raises BadRequest, UnsupportedMediaType or TooLarge.
    """
    expect_file(call)
    request, limit = call.request, call.dependencies.settings.upload_limit
    if request.mimetype != "multipart/form-data" and request.content_length:
        raise UnsupportedMediaType(request.mimetype)
    part = request.files.get("file")
    if part is None:
        sent = "file" in request.form
        raise _refused(
            "The submitted data was not a file. Check the encoding type on the form."
            if sent
            else "No file was submitted."
        )
    upload = _upload_of(part)
    _refuse(name_problem(upload.filename))
    size = _size(upload.stream)
    if size == 0:
        raise _refused("The submitted file is empty.")
    if limit and size > limit:
        raise TooLarge(limit)
    check_type(upload.filename, upload.content_type, allowed)
    check_content(upload, allowed, call.dependencies.settings.json_limit)
    return upload


def uploaded_source(call: Call, name: str) -> Upload:
    """The part of this name, of whatever type: only its reader can say whether it is what it should be.

    Raises BadRequest, UnsupportedMediaType or TooLarge.
    """
    expect_file(call)
    request, limit = call.request, call.dependencies.settings.upload_limit
    if request.mimetype != "multipart/form-data" and request.content_length:
        raise UnsupportedMediaType(request.mimetype)
    part = request.files.get(name)
    if part is None:
        raise BadRequest({name: ["No file was submitted."]})
    upload = _upload_of(part)
    size = _size(upload.stream)
    problem = name_problem(upload.filename) or (None if size else "The submitted file is empty.")
    problem = problem or (None if is_type(upload.content_type) else NO_TYPE)
    if problem is not None:
        raise BadRequest({name: [problem]})
    if limit and size > limit:
        raise TooLarge(limit)
    return upload


def take_in(call: Call, upload: Upload, *, counted: bool = False) -> File:
    """Store an upload; `counted` files know how many rows they have, where they can be read."""
    return store_file(call, upload.stream, upload.filename, upload.content_type, rows_of(upload) if counted else None)


def uploaded(file: File, groups: Sequence[str], *, exposure: bool = False) -> dict[str, Any]:
    """What an upload is answered with; a file belongs to the groups of what it is attached to."""
    body: dict[str, Any] = {
        "created": moment(file.created),
        "file": stored_name(file),
        "filename": file.filename,
        "groups": list(groups),
        "conversion_state": "NONE",
    }
    if exposure:
        body |= {"converted_file": None, "mapping_file": None}
    return body


def _upload_of(part: FileStorage) -> Upload:
    filename = part.filename or ""
    return Upload(cast("BinaryIO", part.stream), filename, type_of(part.mimetype, filename))


def rows_of(upload: Upload) -> int | None:
    """How many rows the file has; None where they cannot be counted."""
    try:
        return count_rows(upload.stream, reading_name(upload.filename, upload.content_type))
    except UnreadableRows:
        # Accepted all the same, like the reference; a run that needs the rows is refused with the reason.
        return None


def check_type(filename: str, content_type: str, allowed: tuple[str, ...]) -> None:
    """Raises BadRequest for a type that is not taken, or not the one that the name says."""
    _refuse(type_problem(content_type, filename, allowed))


def check_content(upload: Upload, allowed: tuple[str, ...], largest_json: int) -> None:
    """Raises BadRequest for a file that is not what it is said to be."""
    _refuse(content_problem(upload.stream, extension_of(upload.filename), upload.content_type))
    if allowed == EXPOSURE_TYPES:
        _refuse(exposure_problem(upload.stream, upload.content_type))
    elif allowed == JSON_TYPES:
        _refuse(json_problem(upload.stream, largest_json))


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    return size


def _refuse(problem: str | None) -> None:
    if problem is not None:
        raise _refused(problem)


def _refused(text: str) -> BadRequest:
    return BadRequest({"file": [text]})
