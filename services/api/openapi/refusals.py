"""What an operation answers: its own answer, and every refusal that its path, body and access make possible."""

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from services.api.openapi.components import Components
from services.api.openapi.operations import ANYTHING, Operation, Properties
from services.api.routes import Access, Route
from services.api.schemas.answers.server import LoginRefusal, Outage, Refusal, TokenRefusal


@dataclass(frozen=True)
class Refused:
    """A response that many operations share."""

    name: str
    about: str
    body: type[Schema] | Properties = Refusal


REFUSALS = {
    400: Refused("BadRequest", "What is wrong: texts by field, a list of texts, or `detail`.", ANYTHING),
    401: Refused("BadToken", "Wrong credentials, or a token that is not good.", LoginRefusal),
    403: Refused("Forbidden", "No credentials, bad ones, or not allowed.", TokenRefusal),
    404: Refused("NotFound", "There is no such object, or not for this account."),
    406: Refused("NotAcceptable", "The client does not take JSON."),
    413: Refused("TooLarge", "More bytes than a setting allows."),
    415: Refused("UnsupportedMediaType", "The body is of a type that is not taken here."),
    416: Refused("OutOfRange", "The file does not have the bytes that are asked for."),
    429: Refused("TooManyAttempts", "Logging in has failed too often; `Retry-After` says when to try again."),
    503: Refused("Unavailable", "A service that this one depends on does not answer. Try again later.", Outage),
}

_TEXTS = {
    200: "It is done.",
    201: "It is made.",
    204: "It is done, and there is nothing to say.",
    206: "The part that is asked for.",
    302: "What is asked for lies elsewhere.",
    304: "The client has it already.",
    503: "Something does not answer.",
}
_EMPTY = (204, 302, 304)


def refusals_of(route: Route, operation: Operation) -> set[int]:
    """The statuses."""
    found = {406, 503, *operation.refusals}
    if route.access != Access.EVERYBODY:
        found |= {403, 429}
    if "<" in route.path:
        found.add(404)
    if operation.body is not None:
        found |= {400, 413, 415}
    return found - set(operation.status)


def responses(components: Components, operation: Operation, version: str, refusals: set[int]) -> dict[str, Any]:
    """By status."""
    found: dict[str, Any] = {}
    for status in operation.status:
        found[str(status)] = {"description": _TEXTS[status]}
        if operation.answer is not None and status not in _EMPTY:
            schema = components.schema(operation.answer, version)
            found[str(status)]["content"] = {operation.media: {"schema": schema}}
    found |= {str(status): REFUSALS[status].name for status in sorted(refusals)}
    return found
