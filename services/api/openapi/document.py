"""The document: the routes, each with what its operation takes and answers. Built without I/O."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from services.api.openapi.components import Components
from services.api.openapi.operations import Operation, Shape
from services.api.openapi.refusals import REFUSALS, refusals_of, responses
from services.api.openapi.tables import OPERATIONS
from services.api.routes import UNVERSIONED, VERSIONED, Access, Route

TITLE = "Lossline"
VERSION = "2.5.6"
"""The version of the Oasis platform whose API this is."""

ABOUT = """\
The API of the Oasis platform, and what Lossline adds to it (docs/api.md).

Every JSON body is also taken as a form, and every path is also served below `/api/`. Keys that are not known are
ignored. Points in time are UTC with six digits of a second. Paths without their last slash are taken too."""

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From `access_token/`."},
    "basic": {"type": "http", "scheme": "basic"},
    "refresh": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A refresh token."},
}
_USERS: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}]
_OWN_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "analysis-status/": [*_USERS, {}],
    "refresh_token/": [{"refresh": []}],
    "revoke_token/": [{"bearer": []}, {"refresh": []}],
}
_PLACE = re.compile(r"<(\w+)>")
_LARGEST_ID = 2**63 - 1


class Undescribed(Exception):
    """A route has no description: give it one in services/api/openapi/tables."""


@cache
def openapi_document(versions: tuple[str, ...] = ("v1", "v2")) -> dict[str, Any]:
    """The whole document, or that of some versions; not to be changed. Raises Undescribed."""
    components = Components(TITLE, VERSION, "3.0.3")
    spec = components.spec
    spec.options |= {"info": {"description": ABOUT, "license": {"name": "BSD-3-Clause"}}}
    spec.options["servers"] = [{"url": "/"}, {"url": "/api"}]
    for name, scheme in _SECURITY.items():
        spec.components.security_scheme(name, scheme)
    for refusal in REFUSALS.values():
        body = {"application/json": {"schema": components.schema(Shape(refusal.body), "")}}
        spec.components.response(refusal.name, {"description": refusal.about, "content": body})
    for route, version in _served(versions):
        path = f"/{version}/{route.path}" if version else f"/{route.path}"
        spec.path(_PLACE.sub(r"{\1}", path), operations=_operations(components, route, version, path))
    found: dict[str, Any] = spec.to_dict()
    return found


def _served(versions: Iterable[str]) -> Iterable[tuple[Route, str]]:
    yield from ((route, "") for route in UNVERSIONED)
    for version in versions:
        yield from ((route, version) for route in VERSIONED if version in route.versions)


def _operations(components: Components, route: Route, version: str, path: str) -> dict[str, Any]:
    found = {}
    for method in route.handlers:
        operation = OPERATIONS.get(route.path, {}).get(method)
        if operation is None:
            raise Undescribed(f"{method} {route.path}: {Undescribed.__doc__}")
        found[method.lower()] = _operation(components, route, version, method, operation) | {
            "operationId": f"{method.lower()}_{'_'.join(re.findall(r'[a-z0-9]+', path))}"
        }
    return found


def _operation(components: Components, route: Route, version: str, method: str, operation: Operation) -> dict[str, Any]:
    parameters = (each for each in operation.parameters if each.in_v1 or version != "v1")
    about = operation.about or (route.handlers[method].__doc__ or "").strip()
    described: dict[str, Any] = {
        "tags": [version or "server"],
        "summary": about.partition("\n")[0],
        "parameters": [*_places(route), *map(components.parameter, parameters)],
        "responses": responses(components, operation, version, refusals_of(route, operation)),
        "security": _security(route),
    }
    if operation.body is not None:
        schema = components.schema(operation.body.shape, version)
        content = {media: {"schema": schema} for media in operation.body.media}
        described["requestBody"] = {"required": operation.body.required, "content": content}
    return described


def _places(route: Route) -> list[dict[str, Any]]:
    schema = {"type": "integer", "minimum": 1, "maximum": _LARGEST_ID}
    return [{"in": "path", "name": name, "required": True, "schema": schema} for name in _PLACE.findall(route.path)]


def _security(route: Route) -> list[dict[str, list[str]]]:
    return _OWN_SECURITY.get(route.path, [] if route.access == Access.EVERYBODY else _USERS)
