"""The page of messages: the catalogue with the route of each, and the values that they carry."""

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from typing import Any, get_args

from docs.markdown import GENERATED, table
from docs.routes import ROUTES, Route
from shared import names
from shared.messages.catalogue import Message
from shared.messages.envelope import MESSAGES

_INTRODUCTION = f"""\
Every message of `shared/messages/catalogue.py`, and where it travels. On the wire a message is JSON,
`{{"type", "version", "body"}}` (`shared/messages/envelope.py`): identifiers and moments are text, optional fields that
are absent take their default, fields that a reader does not know are ignored. A version grows when a reader of the old
shape would misread the new one. What cannot be read goes to the queue `{names.PARKED_QUEUE}` with the reason in its
headers.

*Outbox* means: a row of the transaction that caused the message, published by the relay. *Direct* means: published by
the sender itself, who says it again, or is asked for it again, when it is lost."""


def messages_page() -> str:
    """The whole page."""
    head = ("message", "version", "kind", "from", "over")
    overview = table(head, (_overview_row(kind) for kind in MESSAGES.values()))
    sections = [_message_section(kind) for kind in MESSAGES.values()]
    values = [_value_section(kind) for kind in carried_values()]
    parts = ["# Messages", GENERATED, _INTRODUCTION, overview, *sections, "# Values in messages", *values]
    return "\n\n".join(parts) + "\n"


def carried_values() -> list[type[Any]]:
    """The dataclasses and enumerations of ours inside messages, each once, in the order of their first use."""
    found: dict[type[Any], None] = {}
    waiting: list[type[Any]] = list(MESSAGES.values())
    while waiting:
        for kind in _types_in(waiting.pop(0)):
            if kind not in found and kind.__name__ not in MESSAGES:
                found[kind] = None
                waiting.append(kind)
    return list(found)


def _types_in(kind: type[Any]) -> Iterator[type[Any]]:
    if is_dataclass(kind):
        for field in fields(kind):
            yield from _own_types(field.type)


def _own_types(annotation: Any) -> Iterator[type[Any]]:
    if isinstance(annotation, type) and (is_dataclass(annotation) or issubclass(annotation, StrEnum)):
        yield annotation
    for argument in get_args(annotation):
        yield from _own_types(argument)


def _overview_row(kind: type[Message]) -> tuple[str, ...]:
    route, name = ROUTES[kind], kind.__name__
    return f"[{name}](#{name.lower()})", str(kind.VERSION), route.kind, route.sender, f"`{route.queue}`"


def _message_section(kind: type[Message]) -> str:
    route = ROUTES[kind]
    head = f"## {kind.__name__}\n\nVersion {kind.VERSION}, {route.kind}, {_way(route)}."
    return f"{head}\n\n{inspect.getdoc(kind)}\n\n{_field_table(fields(kind))}"


def _way(route: Route) -> str:
    note = f" ({route.note})" if route.note else ""
    return f"{route.way}: from the {route.sender} over `{route.queue}`{note}".replace("the whoever", "whoever")


def _value_section(kind: type[Any]) -> str:
    head = f"## {kind.__name__}\n\n{inspect.getdoc(kind)}"
    if is_dataclass(kind):
        return f"{head}\n\n{_field_table(fields(kind))}"
    return f"{head}\n\n{', '.join(f'`{member}`' for member in kind)}"


def _field_table(members: Iterable[Field[Any]]) -> str:
    return table(("field", "type", "when absent"), ((m.name, f"`{_type_name(m.type)}`", _default(m)) for m in members))


def _type_name(annotation: Any) -> str:
    return re.sub(r"\b(?:\w+\.)+", "", inspect.formatannotation(annotation))


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING or field.default == ():
        return "empty"
    if field.default is MISSING:
        return "required"
    return "null" if field.default is None else f"`{str(field.default).lower()}`"
