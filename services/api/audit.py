"""Who did what to which resource when: one row for each request that changed something, committed with the change."""

from typing import Any

from flask import Response

from services.api.call import Call
from services.api.routes import Route
from shared.database.accounts import AuditEntry

_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}
_LONGEST_PATH = 1024


def record(call: Call, route: Route, answer: Response, pk: int | None) -> None:
    """Note what the request did. Reads, and requests of nobody, are not noted."""
    method = call.request.method
    if method not in _VERBS or call.account is None:
        return
    entry = AuditEntry(
        user_id=call.account.id,
        username=call.account.username,
        address=call.address,
        action=action_of(method, route),
        resource=resource_of(route),
        resource_id=pk if pk is not None else _created(answer),
        path=call.request.path[:_LONGEST_PATH],
        status=answer.status_code,
    )
    call.session.add(entry)


def action_of(method: str, route: Route) -> str:
    """`create`, `delete location_file`, or the name of what is done: `run`, `log in`."""
    if route.action:
        return route.action
    rest = " ".join(part for part in route.path.split("/")[1:] if part and not part.startswith("<"))
    if rest and set(route.handlers) == {"POST"}:
        return rest
    return f"{_VERBS[method]} {rest}".strip()


def resource_of(route: Route) -> str:
    """The collection: `analyses`; tokens belong to accounts."""
    return "accounts" if route.action else route.path.split("/", 1)[0]


def _created(answer: Response) -> int | None:
    body: Any = None if answer.is_streamed else answer.get_json(silent=True)
    found = body.get("id") if isinstance(body, dict) else None
    return found if isinstance(found, int) else None
