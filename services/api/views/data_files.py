"""data_files/. Source: oasis_api.md section 1.4."""

from typing import Any

from flask import Response
from sqlalchemy import delete, select

from services.api.call import Call
from services.api.downloads import file_answer
from services.api.errors import NotFound
from services.api.files import find_file, release_files
from services.api.filters import filtered, text_filters, time_filters, user_filter
from services.api.http import body_of, empty_answer, json_answer
from services.api.lookups import find
from services.api.schemas.fields import load
from services.api.schemas.requests import DataFileBody
from services.api.serialize.models import data_file_bodies
from services.api.uploads import ANY_TYPE, take_in, uploaded, uploaded_file
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
    query = select(DataFile).outerjoin(File, File.id == DataFile.file_id).order_by(DataFile.id)
    return json_answer(data_file_bodies(call, call.session.scalars(filtered(query, FILTERS, call.request.args))))


def create_data_file(call: Call) -> Response:
    """A new data file, without content."""
    data_file = DataFile(**_load(call, partial=False), creator_id=call.user.id)
    call.session.add(data_file)
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
    upload = uploaded_file(call.request, ANY_TYPE)
    call.release_connection()
    file = take_in(call, upload)
    data_file = find(call, DataFile, pk)
    release_files(call, data_file.file_id)
    data_file.file_id = file.id
    call.session.flush()
    return json_answer(uploaded(file))


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
    return load(DataFileBody, body_of(call.request), partial=partial)


def _update(call: Call, pk: int, *, partial: bool) -> Response:
    data_file = find(call, DataFile, pk)
    for name, value in _load(call, partial=partial).items():
        setattr(data_file, name, value)
    return _answer(call, data_file, 200)


def _answer(call: Call, data_file: DataFile, status: int) -> Response:
    call.session.flush()
    return json_answer(data_file_bodies(call, [data_file])[0], status)
