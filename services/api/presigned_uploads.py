"""Files that clients put straight into the object store: a form that is signed for them, and what then becomes a file.

The form stays good until it expires, so its object may change at any time: what is attached is a copy, which is looked
at only when nobody can write it any more.
"""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import delete, func, select

from services.api.call import Call
from services.api.content_types import EXPOSURE_TYPES
from services.api.errors import BadRequest, NotFound, TooLarge
from services.api.files import adopt_copy, copy_object
from services.api.parquet_storage import as_kept
from services.api.stored_stream import stored_stream
from services.api.uploads import Upload, check_content, rows_of, take_in
from shared.database.presigned_uploads import PresignedUpload
from shared.database.removals import note_removals
from shared.database.resources import File
from shared.object_store import ObjectNotFound, Presigner, UploadForm

UNAVAILABLE = (
    "This server takes no uploads straight to the object store: they need OASIS_STORAGE_TYPE=s3 and "
    "OASIS_SERVER_PRESIGNED_UPLOADS=True. Send the file to the path above instead."
)
LARGEST_OBJECT = 5 * 1024**3
"""Bytes that S3 takes in one request."""

COMPLETED_WITHIN = timedelta(hours=12)
"""After the form has expired: an upload that has begun may take a while."""

_SWEPT_AFTER = timedelta(days=1)
"""After the form has expired; longer than COMPLETED_WITHIN and what completing takes."""


def presigner(call: Call) -> Presigner:
    """What signs the forms. Raises NotFound where this server takes no such uploads."""
    found = call.store.presigner if call.dependencies.settings.presigned.uploads else None
    if found is None:
        raise NotFound({"detail": UNAVAILABLE})
    return found


def largest(call: Call) -> int:
    """Bytes of the largest file that may be uploaded so."""
    return min(call.dependencies.settings.upload_limit or LARGEST_OBJECT, LARGEST_OBJECT)


def begin(
    call: Call, portfolio_id: int, field: str, filename: str, content_type: str
) -> tuple[PresignedUpload, UploadForm]:
    """A new upload and its form. Raises NotFound, ObjectStoreError."""
    signer, good_for = presigner(call), call.dependencies.settings.presigned.good_for
    call.store.check()  # it also makes a bucket that is to be made
    key, expires = f"uploads/{uuid4().hex}", datetime.now(UTC) + good_for
    form = signer.upload_form(key, content_type, largest(call), good_for)
    upload = PresignedUpload(portfolio_id=portfolio_id, field=field, key=key, filename=filename, expires=expires)
    upload.content_type, upload.creator_id = content_type, call.user.id
    _forget_old(call)
    call.session.add(upload)
    note_removals(call.session, [key], after=good_for + _SWEPT_AFTER)
    call.session.flush()
    return upload, form


def awaited(call: Call, portfolio_id: int, field: str, upload_id: int) -> PresignedUpload:
    """The upload, locked, that may be completed now. Raises NotFound, BadRequest."""
    query = select(PresignedUpload).where(PresignedUpload.id == upload_id).with_for_update()
    upload = call.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if upload is None or (upload.portfolio_id, upload.field) != (portfolio_id, field):
        raise NotFound
    if upload.completed is not None:
        raise BadRequest({"detail": "This upload has been completed already."})
    if upload.expires + COMPLETED_WITHIN < datetime.now(UTC):
        raise BadRequest({"detail": "This upload has expired; ask for another one."})
    return upload


def take_over(call: Call, upload: PresignedUpload) -> File:
    """The file that was uploaded, if it is what it was said to be. Raises BadRequest, TooLarge."""
    try:
        info = copy_object(call, upload.key, upload.filename)
    except ObjectNotFound as error:
        raise BadRequest({"detail": "Nothing has been uploaded: send the form to the store first."}) from error
    if info.size > largest(call):
        raise TooLarge(largest(call))
    counted = upload.field == "location_file"
    with closing(stored_stream(call.store, info.key, info.size)) as stream:
        looked_at = Upload(stream, upload.filename, upload.content_type)
        check_content(looked_at, EXPOSURE_TYPES, call.dependencies.settings.json_limit)
        with as_kept(call, looked_at, upload.field) as kept:
            if kept is not looked_at:
                call.store.delete(info.key)
                return take_in(call, kept, counted=counted)
        rows = rows_of(looked_at) if counted else None
    return adopt_copy(call, info, upload.filename, upload.content_type, rows)


def end(call: Call, upload: PresignedUpload) -> None:
    """The upload (locked) is a file now; its object goes, and goes again should the form be used again."""
    upload.completed = datetime.now(UTC)
    note_removals(call.session, [upload.key])


def _forget_old(call: Call) -> None:
    old = PresignedUpload.expires < func.now() - _SWEPT_AFTER
    call.session.execute(delete(PresignedUpload).where(old), execution_options={"synchronize_session": False})
