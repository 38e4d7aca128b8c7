"""What may be uploaded, and how it is taken in. Source: oasis_api.md section 1.6."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from services.api.call import Call
from services.api.contents import content_problem, exposure_problem, json_problem
from services.api.errors import BadRequest, TooLarge, UnsupportedMediaType
from services.api.filenames import name_problem
from services.api.files import store_file, stored_name
from services.api.rows import UnreadableRows, count_rows
from services.api.serialize.moments import moment
from shared.database.resources import File

EXPOSURE_TYPES = (
    "application/octet-stream",
    "application/json",
    "text/csv",
    "application/gzip",
    "application/zip",
    "application/x-bzip2",
)
JSON_TYPES = ("application/json",)
ANY_TYPE: tuple[str, ...] = ()
EXCEL = "application/vnd.ms-excel"
"""What browsers on Windows call csv."""

_AROUND_FILE = 64 * 1024
"""Bytes of a multipart body around its file."""

_TYPE_OF: Mapping[str, str] = {
    "parquet": "application/octet-stream",
    "pq": "application/octet-stream",
    "csv": "text/csv",
    "gz": "application/gzip",
    "zip": "application/zip",
    "bz2": "application/x-bzip2",
}


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
    upload = Upload(cast("BinaryIO", part.stream), part.filename or "", part.mimetype)
    _refuse(name_problem(upload.filename))
    size = _size(upload.stream)
    if size == 0:
        raise _refused("The submitted file is empty.")
    if limit and size > limit:
        raise TooLarge(limit)
    _check_type(upload, allowed)
    _check_content(upload, allowed, call.dependencies.settings.json_limit)
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
    upload = Upload(cast("BinaryIO", part.stream), part.filename or "", part.mimetype)
    size = _size(upload.stream)
    problem = name_problem(upload.filename) or (None if size else "The submitted file is empty.")
    if problem is not None:
        raise BadRequest({name: [problem]})
    if limit and size > limit:
        raise TooLarge(limit)
    return upload


def take_in(call: Call, upload: Upload, *, counted: bool = False) -> File:
    """Store an upload; `counted` files know how many rows they have, where they can be read."""
    return store_file(call, upload.stream, upload.filename, upload.content_type, _rows(upload) if counted else None)


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


def _rows(upload: Upload) -> int | None:
    try:
        return count_rows(upload.stream, upload.filename)
    except UnreadableRows:
        # Accepted all the same, like the reference; a run that needs the rows is refused with the reason.
        return None


def _check_type(upload: Upload, allowed: tuple[str, ...]) -> None:
    extension = PurePath(upload.filename).suffix[1:].lower()
    exposure = allowed == EXPOSURE_TYPES
    if allowed and upload.content_type not in allowed and not (exposure and upload.content_type == EXCEL):
        raise _refused(f"File should be one of [{', '.join(allowed)}]")
    expected = _TYPE_OF.get(extension, upload.content_type)
    excel_csv = exposure and extension == "csv" and upload.content_type == EXCEL
    if upload.content_type != expected and not excel_csv:
        raise _refused(
            f"File extention '{extension}' mismatched with request header 'Content-Type': "
            f"'{upload.content_type}', should be set to '{expected}'"
        )


def _check_content(upload: Upload, allowed: tuple[str, ...], largest_json: int) -> None:
    extension = PurePath(upload.filename).suffix[1:].lower()
    _refuse(content_problem(upload.stream, extension, upload.content_type))
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
