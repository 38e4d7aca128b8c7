"""Stored files: a row and its object. An object is put before its row commits, and never overwritten."""

import json
import re
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from uuid import uuid4

from sqlalchemy import func, select, update

from services.api.call import Call
from services.api.errors import BadRequest
from shared.database.resources import File
from shared.object_store.port import COPY_BYTES, ObjectInfo

_EXTENSION = re.compile(r"(\.tar)?\.[a-z0-9]{1,16}$", re.IGNORECASE)


def stored_name(file: File) -> str:
    """What clients call the stored name: the last part of the key."""
    return file.key.rsplit("/", 1)[-1]


def new_key(filename: str) -> str:
    """A key of its own for a file of this name: `files/<uuid><extension>`."""
    match = _EXTENSION.search(PurePath(filename).name)
    extension = match.group() if match else ""
    if match and match.group(1) and extension.lower() != ".tar.gz":
        extension = PurePath(extension).suffix
    return f"files/{uuid4().hex}{extension}"


def store_file(call: Call, stream: BinaryIO, filename: str, content_type: str, rows: int | None = None) -> File:
    """Put the stream (from its beginning) into the store and write its row; both go if the request fails."""
    stream.seek(0)
    key = new_key(filename)
    call.note_put(key)
    info = call.store.put(key, stream, content_type=content_type)
    return _add(call, File(key=key, filename=filename, content_type=content_type, size=info.size, rows=rows))


def store_json(call: Call, value: Any, filename: str) -> File:
    """Store a JSON document."""
    with TemporaryFile() as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=4).encode())
        return store_file(call, file, filename, "application/json")


def copy_file(call: Call, file_id: int | None) -> int | None:
    """The id of a copy of a file, with an object of its own."""
    file = find_file(call, file_id)
    if file is None:
        return None
    info = copy_object(call, file.key, file.filename)
    return adopt_copy(call, info, file.filename, file.content_type, file.rows).id


def copy_object(call: Call, key: str, filename: str) -> ObjectInfo:
    """Copy an object for a file of this name; `adopt_copy` makes its row. Raises ObjectNotFound."""
    target = new_key(filename)
    call.note_put(target)
    return call.store.copy(key, target)


def adopt_copy(call: Call, info: ObjectInfo, filename: str, content_type: str, rows: int | None) -> File:
    """The row of an object that was copied."""
    return _add(call, File(key=info.key, filename=filename, content_type=content_type, size=info.size, rows=rows))


def find_file(call: Call, file_id: int | None) -> File | None:
    """The file, or None where there is none."""
    return None if file_id is None else call.session.get(File, file_id)


def find_files(call: Call, file_ids: set[int]) -> dict[int, File]:
    """Files by id."""
    if not file_ids:
        return {}
    return {file.id: file for file in call.session.scalars(select(File).where(File.id.in_(file_ids)))}


def release_files(call: Call, *file_ids: int | None) -> None:
    """Take the owner from these files: their objects go when no run reads them any more."""
    ids = [file_id for file_id in file_ids if file_id is not None]
    if ids:
        query = update(File).where(File.id.in_(ids), File.released_at.is_(None))
        call.session.execute(query.values(released_at=func.now()), execution_options={"synchronize_session": False})


def read_json_file(call: Call, file: File, error_key: str) -> Any:
    """The values of a stored JSON document. Raises BadRequest with this key where it is none."""
    with call.store.open(file.key) as stream:
        text = stream.read()
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest({error_key: [f"'{file.filename}' is not JSON: {error}"]}) from error


def fetch(call: Call, file: File) -> BinaryIO:
    """The bytes of a file as a seekable temporary file, to be closed."""
    target = TemporaryFile()  # noqa: SIM115 - handed to the caller
    try:
        with call.store.open(file.key) as source:
            while block := source.read(COPY_BYTES):
                target.write(block)
        target.seek(0)
    except BaseException:
        target.close()
        raise
    return target


def _add(call: Call, file: File) -> File:
    file.creator_id = call.user.id
    call.session.add(file)
    call.note_row(file.key)
    call.session.flush()
    return file
