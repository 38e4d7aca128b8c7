"""What the answers are put together from. Every key of an answer is always there; what is unset is null."""

from collections.abc import Iterable
from typing import Any

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import OneOf

STATUS_COUNTS = ("TOTAL_IN_QUEUE", "TOTAL", "PENDING", "QUEUED", "STARTED", "COMPLETED", "CANCELLED", "ERROR")


class Answer(Schema):
    """An object with these keys and no others."""

    class Meta:
        unknown = RAISE


def text(about: str = "", *, nullable: bool = False, only: Iterable[str] = ()) -> fields.String:
    """A text, perhaps one of a few."""
    values = tuple(only)
    check = OneOf((*values, None) if nullable else values) if values else None
    return fields.String(required=True, allow_none=nullable, validate=check, metadata=_about(about))


def whole(about: str = "", *, nullable: bool = False) -> fields.Integer:
    """A whole number."""
    return fields.Integer(required=True, allow_none=nullable, metadata=_about(about))


def number(about: str = "", *, nullable: bool = False) -> fields.Float:
    """A number, in seconds where nothing else is said."""
    return fields.Float(required=True, allow_none=nullable, metadata=_about(about))


def yes_no(about: str = "", *, nullable: bool = False) -> fields.Boolean:
    """True or false."""
    return fields.Boolean(required=True, allow_none=nullable, metadata=_about(about))


def moment(about: str = "", *, nullable: bool = False) -> fields.DateTime:
    """A point in time, in UTC with six digits of a second."""
    return fields.DateTime(required=True, allow_none=nullable, metadata=_about(about))


def link(about: str = "", *, nullable: bool = False) -> fields.String:
    """An absolute URL, where nothing else is said."""
    metadata = {"format": "uri"} | _about(about)
    return fields.String(required=True, allow_none=nullable, metadata=metadata)


def several(inner: fields.Field[Any], about: str = "") -> fields.List[Any]:
    """A list."""
    return fields.List(inner, required=True, metadata=_about(about))


def one(schema: type[Schema], *, nullable: bool = False) -> fields.Nested:
    """An object in an object."""
    return fields.Nested(schema, required=True, allow_none=nullable)


def many(schema: type[Schema]) -> fields.List[Any]:
    """Objects in a list."""
    return fields.List(fields.Nested(schema), required=True)


def anything(about: str = "", *, nullable: bool = False) -> fields.Dict:
    """An object with any keys."""
    return fields.Dict(required=True, allow_none=nullable, metadata=_about(about))


def texts(about: str = "") -> fields.Dict:
    """An object with texts under any keys."""
    return fields.Dict(values=fields.String(), required=True, metadata=_about(about))


def _about(about: str) -> dict[str, str]:
    return {"description": about} if about else {}


StatusCount = Answer.from_dict({name: whole() for name in STATUS_COUNTS}, name="StatusCount")
"""Sub-tasks by state."""
