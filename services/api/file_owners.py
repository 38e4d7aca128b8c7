"""Who may read a stored file: whoever sees a model, portfolio, data file or analysis that has it."""

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from services.api.call import Call
from services.api.serialize.analyses import STORED_FIELDS
from services.api.serialize.portfolios import FILE_FIELDS
from services.api.visibility import Kind, usable
from shared.database.resources import Analysis, DataFile, File, Model, Portfolio

OWNERS: dict[Kind, tuple[str, ...]] = {
    Model: ("settings_file_id",),
    Portfolio: tuple(f"{field}_id" for field in (*FILE_FIELDS, "exposure_run_file")),
    DataFile: ("file_id",),
    Analysis: tuple(f"{field}_id" for field in STORED_FIELDS),
}
"""The columns that name files, by what has them."""


def is_readable(call: Call, file: File) -> bool:
    """Whether something that the account may use has this file; administrators read all."""
    if call.user.is_administrator:
        return True
    owned = [exists().where(_has(kind, file), usable(kind, call.user)) for kind in OWNERS]
    return bool(call.session.scalar(select(or_(*owned))))


def _has(kind: Kind, file: File) -> ColumnElement[bool]:
    columns: list[InstrumentedAttribute[int | None]] = [getattr(kind, column) for column in OWNERS[kind]]
    return or_(*(column == file.id for column in columns))
