"""What a method of a path takes and answers: what the tables of `services.api.openapi.tables` are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema

Properties = Mapping[str, Any]
"""An OpenAPI schema as it is written."""

ANYTHING: Properties = {}
OBJECT: Properties = {"type": "object"}
TEXTS: Properties = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True)
class Shape:
    """A schema of marshmallow or OpenAPI, or another one in v1; `many` of them in a list."""

    schema: type[Schema] | Properties
    v1: type[Schema] | None = None
    many: bool = False
    partial: bool = False

    def of(self, version: str) -> type[Schema] | Properties:
        """The schema in this version."""
        return self.v1 if version == "v1" and self.v1 is not None else self.schema


@dataclass(frozen=True)
class Body:
    """What a request holds. `media` are the types that it may come as."""

    shape: Shape
    required: bool = True
    media: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query."""

    name: str
    about: str = ""
    schema: Properties = field(default_factory=lambda: {"type": "string"})
    in_v1: bool = True


@dataclass(frozen=True)
class Operation:
    """One method of one path. `answer` is None where there is no body; `media` is what it comes as."""

    answer: Shape | None = None
    body: Body | None = None
    status: tuple[int, ...] = (200,)
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    """Beside those that follow from the path, the body and who may ask."""
    media: str = "application/json"
    about: str = ""
    """What it does, where its function does not say so."""


def json_of(schema: type[Schema], v1: type[Schema] | None = None, **rest: Any) -> Body:
    """A JSON body."""
    return Body(Shape(schema, v1), **rest)


def listed(schema: type[Schema], v1: type[Schema] | None = None, filters: tuple[Parameter, ...] = ()) -> Operation:
    """A list."""
    return Operation(Shape(schema, v1, many=True), parameters=(*filters, *PAGES), refusals=(400,))


def file_download(about: str = "Send the file.", parameters: tuple[Parameter, ...] = ()) -> Operation:
    """A stored file, or a part of it."""
    status, asked = (200, 206, 302, 304), (*parameters, PRESIGNED)
    return Operation(Shape(_BYTES), status=status, media="*/*", parameters=asked, refusals=(400, 416), about=about)


def text_download(about: str, parameters: tuple[Parameter, ...] = (), **rest: Any) -> Operation:
    """A text that is composed when it is read."""
    return Operation(Shape(_BYTES), media="text/plain", parameters=parameters, about=about, **rest)


def upload(answer: type[Schema], about: str = "Take a file.") -> Operation:
    """A file as the part `file` of a form."""
    form = {"type": "object", "properties": {"file": _BYTES}, "required": ["file"]}
    return Operation(Shape(answer), Body(Shape(form), media=("multipart/form-data",)), about=about)


def taken_away(about: str = "Take the file away.") -> Operation:
    """Deletes a part of an object: 200 without a body."""
    return Operation(about=about)


PRESIGNED = Parameter("presigned", "Whether to be sent to the object store for it.", {"type": "boolean"})
_BYTES: Properties = {"type": "string", "format": "binary"}
_COUNT: Properties = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
PAGES = (
    Parameter("limit", "At most so many.", _COUNT),
    Parameter("offset", "Without the first so many.", _COUNT),
)
