"""portfolios/{id}/storage_links/: stored files by name, read and attached. Source: oasis_api.md section 1.3."""

from typing import Any

from flask import Response
from sqlalchemy import select

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.file_owners import is_readable
from services.api.files import copy_file, release_files
from services.api.http import body_of, is_storable, json_answer
from services.api.lookups import find
from services.api.serialize.portfolios import FILE_FIELDS, stored_names
from shared.database.resources import File, Portfolio

LONGEST_KEY = 1024


def get_storage_links(call: Call, pk: int) -> Response:
    """The stored names of the files."""
    return json_answer(stored_names(call, find(call, Portfolio, pk)))


def post_storage_links(call: Call, pk: int) -> Response:
    """Attach copies of stored files, all that are named or none."""
    portfolio = find(call, Portfolio, pk)
    for field, file in _named(call, body_of(call.request)).items():
        release_files(call, getattr(portfolio, f"{field}_id"))
        setattr(portfolio, f"{field}_id", copy_file(call, file.id))
    call.session.flush()
    return json_answer(stored_names(call, portfolio))


def _named(call: Call, body: Any) -> dict[str, File]:
    given = {field: body[field] for field in FILE_FIELDS if field in body} if isinstance(body, dict) else {}
    if not given:
        text = f"At least one file field reference required from [{', '.join(FILE_FIELDS)}]"
        raise BadRequest({"non_field_errors": [text]})
    errors: dict[str, list[str]] = {}
    found: dict[str, File] = {}
    for field, value in given.items():
        try:
            found[field] = _stored(call, value)
        except _Refused as error:
            errors[field] = [str(error)]
    if errors:
        raise BadRequest(errors)
    return found


class _Refused(Exception):
    """The value names no file that may be attached."""


def _stored(call: Call, value: Any) -> File:
    if not isinstance(value, str):
        raise _Refused(f"Value is not type string, found {type(value)}")
    if not value.strip():
        # v1 spells it so.
        raise _Refused(f"Value is {'emtpry' if call.version == 'v1' else 'empty'} or whitespace string.")
    file = _find(call, value)
    if file is None:
        raise _Refused(f"File '{value}' not found in default storage")
    if not is_readable(call, file):
        raise _Refused(f"File '{value}' belongs to a different group")
    return file


def _find(call: Call, name: str) -> File | None:
    if len(name) > LONGEST_KEY or not is_storable(name):
        return None
    # Released files are about to go; a share on the row keeps this one until the copy is made.
    query = select(File).where(File.key.in_((name, f"files/{name}")), File.released_at.is_(None))
    return call.session.scalars(query.with_for_update(read=True)).first()
