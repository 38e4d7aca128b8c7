"""data_files/. Source: oasis_api.md section 1.4."""

from typing import Any

from flask import Response
from sqlalchemy import delete

from services.api.call import Call
from services.api.content_types import ANY_TYPE
from services.api.downloads import file_answer
from services.api.errors import NotFound
from services.api.files import find_file, release_files
from services.api.filters import text_filters, time_filters, user_filter
from services.api.groups import change_groups, groups_of, set_groups
from services.api.http import body_of, empty_answer, json_answer
from services.api.listing import listed
from services.api.lookups import find, seen
from services.api.schemas.fields import load
from services.api.schemas.requests import DataFileBody, DataFileBodyV2
from services.api.serialize.models import data_file_bodies
from services.api.uploads import take_in, uploaded, uploaded_file
from shared.database.resources import DataFile, File

FILTERS = (
    text_filters(
        filename=File.filename,
        content_type=File.content_type,
        file_description=DataFile.file_description,
        file_category=DataFile.file_category,
    )
    | user_filter(DataFile.creator_id)
    | time_filters(DataFile.created, DataFile.modified)
)


def list_data_files(call: Call) -> Response:
    """All data files."""
    query = seen(call, DataFile).outerjoin(File, File.id == DataFile.file_id)
    return json_answer(data_file_bodies(call, listed(call, query, FILTERS)))


def create_data_file(call: Call) -> Response:
    """A new data file, without content."""
    values = _load(call, partial=False)
    data_file = DataFile(creator_id=call.user.id)
    _apply(data_file, values)
    call.session.add(data_file)
    call.session.flush()
    set_groups(call, data_file, values.get("groups"))
    return _answer(call, data_file, 201)


def get_data_file(call: Call, pk: int) -> Response:
    """One data file."""
    return _answer(call, find(call, DataFile, pk), 200)


def replace_data_file(call: Call, pk: int) -> Response:
    """PUT: the description must be there."""
    return _update(call, pk, partial=False)


def change_data_file(call: Call, pk: int) -> Response:
    """PATCH."""
    return _update(call, pk, partial=True)


def delete_data_file(call: Call, pk: int) -> Response:
    """Delete the data file; models and analyses lose it."""
    data_file = find(call, DataFile, pk)
    release_files(call, data_file.file_id)
    call.session.execute(delete(DataFile).where(DataFile.id == pk))
    return empty_answer(204)


def get_content(call: Call, pk: int) -> Response:
    """The bytes."""
    return file_answer(call, _content(call, find(call, DataFile, pk)))


def post_content(call: Call, pk: int) -> Response:
    """Take new bytes, of any type."""
    find(call, DataFile, pk)
    upload = uploaded_file(call, ANY_TYPE)
    call.release_connection()
    file = take_in(call, upload)
    data_file = find(call, DataFile, pk)
    release_files(call, data_file.file_id)
    data_file.file_id = file.id
    call.session.flush()
    return json_answer(uploaded(file, groups_of(call, data_file)))


def delete_content(call: Call, pk: int) -> Response:
    """Take the bytes away."""
    data_file = find(call, DataFile, pk)
    release_files(call, _content(call, data_file).id)
    data_file.file_id = None
    return empty_answer(200)


def _content(call: Call, data_file: DataFile) -> File:
    file = find_file(call, data_file.file_id)
    if file is None:
        raise NotFound
    return file


def _load(call: Call, *, partial: bool) -> dict[str, Any]:
    schema = DataFileBody if call.version == "v1" else DataFileBodyV2
    return load(schema, body_of(call.request), partial=partial)


def _apply(data_file: DataFile, values: dict[str, Any]) -> None:
    for name in ("file_description", "file_category"):
        if name in values:
            setattr(data_file, name, values[name])


def _update(call: Call, pk: int, *, partial: bool) -> Response:
    data_file = find(call, DataFile, pk)
    values = _load(call, partial=partial)
    _apply(data_file, values)
    change_groups(call, data_file, values, partial=partial)
    return _answer(call, data_file, 200)


def _answer(call: Call, data_file: DataFile, status: int) -> Response:
    call.session.flush()
    return json_answer(data_file_bodies(call, [data_file])[0], status)
