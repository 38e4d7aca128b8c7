"""Frozen dataclasses to JSON and back. Writers are strict; readers ignore fields that they don't know."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID

from cattrs import BaseValidationError, Converter

T = TypeVar("T")


class Unreadable(Exception):
    """The text is not JSON of the expected shape."""


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=False)
    converter.register_unstructure_hook(UUID, str)
    converter.register_structure_hook(UUID, lambda value, _: UUID(value))
    converter.register_unstructure_hook(datetime, lambda value: value.astimezone(UTC).isoformat())
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, StrEnum), str)
    converter.register_structure_hook_func(lambda kind: kind is Mapping, lambda value, _: dict(value))
    return converter


_CONVERTER = _converter()


def to_plain(value: object) -> dict[str, Any]:
    """The dataclass as plain JSON values."""
    return cast("dict[str, Any]", _CONVERTER.unstructure(value))


def from_plain(kind: type[T], value: Any) -> T:
    """The dataclass from plain JSON values. Raises Unreadable."""
    try:
        return _CONVERTER.structure(value, kind)
    except (BaseValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"not a {kind.__name__}: {error!r}") from error


def to_json(value: Any) -> bytes:
    """Compact JSON of plain values."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def from_json(text: bytes | str) -> Any:
    """Plain values of JSON. Raises Unreadable."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error
