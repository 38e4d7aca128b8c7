"""Schemas of marshmallow as components of the document, our own fields among them."""

from collections.abc import Callable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import EXCLUDE, RAISE, Schema, fields

from services.api.openapi.operations import Parameter, Properties, Shape
from services.api.schemas.answers.base import Answer
from services.api.schemas.fields import Choice, Document, NameList, Number, Pk, PkList, StrictNumber, Text

Describe = Callable[..., dict[str, Any]]


class Components:
    """Every schema once, by its name; that of a PATCH, where nothing is required, by a name of its own."""

    def __init__(self, title: str, version: str, openapi: str) -> None:
        self._shared: dict[str, dict[str, Any]] = {}
        self._plugin = MarshmallowPlugin(schema_name_resolver=_name)
        self.spec = APISpec(title, version, openapi, plugins=[self._plugin])
        for kind in (Text, Choice, Number, StrictNumber, Pk, PkList, NameList, Document):
            self._converter.map_to_openapi_type(kind, "", None)
        self._converter.add_attribute_function(_own_field)

    @property
    def _converter(self) -> Any:
        return self._plugin.converter

    def schema(self, shape: Shape, version: str) -> dict[str, Any]:
        """A reference to the schema of a shape, or what it is written as."""
        schema = shape.of(version)
        found = self._schema(schema, shape.partial)
        return {"type": "array", "items": found} if shape.many else found

    def _schema(self, schema: type[Schema] | Properties, partial: bool) -> dict[str, Any]:
        if not isinstance(schema, type):
            return dict(schema)
        answer = issubclass(schema, Answer)
        instance = schema(partial=True, unknown=EXCLUDE) if partial else schema(unknown=RAISE if answer else EXCLUDE)
        found: dict[str, Any] = self._plugin.resolver.resolve_schema_dict(instance)  # type: ignore[union-attr]
        return found

    def parameter(self, parameter: Parameter) -> dict[str, Any] | str:
        """A parameter of the query; the name of the shared one where others have the same."""
        schema = dict(parameter.schema)
        described = {"schema": schema} | ({"description": parameter.about} if parameter.about else {})
        if self._shared.setdefault(parameter.name, described) != described:
            return {"in": "query", "name": parameter.name, **described}
        if parameter.name not in self.spec.components.parameters:
            self.spec.components.parameter(parameter.name, "query", {"name": parameter.name, **described})
        return parameter.name


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    partial = not isinstance(schema, type) and schema.partial
    return f"{kind.__name__}Changes" if partial else str(kind.__name__)


def _own_field(_converter: Any, field: fields.Field[Any], *, ret: dict[str, Any], **_rest: Any) -> dict[str, Any]:
    if isinstance(field, fields.Nested) and field.allow_none:
        # apispec lets any object pass here; what we mean is this one, or null.
        return {"anyOf": [{"nullable": True, "enum": [None]}, ret["anyOf"][-1]]}
    for kind, describe in _OWN.items():
        if isinstance(field, kind):
            return describe(field)
    return {}


def _text(field: Text) -> dict[str, Any]:
    return {"type": "string", "maxLength": field.longest} | ({} if field.blank else {"minLength": 1, "pattern": r"\S"})


def _number(field: Number | StrictNumber) -> dict[str, Any]:
    return {"type": "integer", "minimum": field.least, "maximum": field.most}


def _choice(field: Choice) -> dict[str, Any]:
    words: list[str | None] = [str(choice) for choice in field.choices]
    return {"type": "string", "enum": [*words, None] if field.allow_none else words}


def _pk(_field: Pk) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1}


def _pks(_field: PkList) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "integer", "minimum": 1}}


def _names(_field: NameList) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "minLength": 1}}


def _document(_field: Document) -> dict[str, Any]:
    return {"type": "object"}


_OWN: dict[type[fields.Field[Any]], Describe] = {
    Text: _text,
    Number: _number,
    StrictNumber: _number,
    Choice: _choice,
    Pk: _pk,
    PkList: _pks,
    NameList: _names,
    Document: _document,
}
