"""HTTP as clients of the Oasis platform expect it: paths, negotiation, bodies. Source: oasis_api.md section 0."""

import json
import re
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, NoReturn
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Request, Response
from werkzeug.datastructures import MIMEAccept, MultiDict

from services.api.errors import BadRequest, NotAcceptable, UnsupportedMediaType

DEEPEST_JSON = 100
"""Levels of a JSON text: what is deeper is meant to break its readers."""

SUB_PATH = "/api"

WsgiApp = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Form(dict[str, str]):
    """The fields of a form, of one that is repeated the last; `several` has all of them."""

    def __init__(self, fields: MultiDict[str, str]) -> None:
        self.several = dict(fields.lists())
        super().__init__({name: texts[-1] for name, texts in self.several.items()})


class SubPath:
    """WSGI middleware: what lies below `/api` is served as if it were at the root, and links say `/api`."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == SUB_PATH or path.startswith(f"{SUB_PATH}/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + SUB_PATH
            environ["PATH_INFO"] = path.removeprefix(SUB_PATH) or "/"
        return self._app(environ, start_response)


def json_answer(body: Any, status: int = 200) -> Response:
    """A JSON answer, without a charset in its type."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Response(text.encode("utf-8", "replace"), status=status, content_type="application/json")


def empty_answer(status: int) -> Response:
    """An answer without a body."""
    answer = Response(status=status)
    del answer.headers["Content-Type"]
    return answer


def slash_redirect(request: Request) -> Response | None:
    """301 to the same path with a slash at its end, relative so that clients stay on their host."""
    if request.method not in ("GET", "HEAD") or request.path.endswith("/"):
        return None
    query = request.query_string.decode("latin-1")
    answer = Response(status=301, content_type="text/html; charset=utf-8")
    answer.headers["Location"] = quote(f"{request.root_path}{request.path}/") + (f"?{query}" if query else "")
    return answer


def negotiate(request: Request) -> None:
    """Raises NotAcceptable where the client does not take JSON."""
    accepted: MIMEAccept = request.accept_mimetypes
    if accepted and not accepted.accept_json:
        raise NotAcceptable


def body_of(request: Request) -> Any:
    """The values of a JSON or form body; an empty body of any type is `{}`. Raises BadRequest, UnsupportedMediaType."""
    if request.mimetype in _FORMS:
        return Form(request.form)
    text = request.get_data()
    if not text.strip():
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(request.mimetype)
    return parse_json(text)


def parse_json(text: bytes) -> Any:
    """The values of a JSON text that the database can hold. Raises BadRequest."""
    try:
        # UTF-8 and nothing else, so that what is looked for below is found.
        value = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_parse_float)
    except (ValueError, RecursionError) as error:
        raise BadRequest({"detail": f"JSON parse error - {error}"}) from error
    if not _is_shallow(value):
        raise BadRequest({"detail": f"JSON parse error - more than {DEEPEST_JSON} levels"})
    if b"\\u" in text.lower() and not is_storable(json.dumps(value, ensure_ascii=False).replace("\\u0000", "\0")):
        raise BadRequest({"detail": "JSON parse error - null characters and lone surrogates are not allowed"})
    return value


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold this text: no null characters, no halves of surrogate pairs."""
    return _UNSTORABLE.search(text) is None


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return True
    return False


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _parse_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")
