"""The WSGI application: the routes, wrapped in what every request needs."""

from collections.abc import Callable

import flask
from flask import Flask, Response
from werkzeug.middleware.proxy_fix import ProxyFix

from services.api.audit import record
from services.api.auth.authenticate import authenticate
from services.api.call import Call
from services.api.dependencies import Dependencies
from services.api.errors import Forbidden, MethodNotAllowed, NotFound
from services.api.failures import answer_failures
from services.api.http import SubPath, negotiate, slash_redirect
from services.api.metrics import measure
from services.api.openapi.pages import add_pages
from services.api.request_ids import identify
from services.api.routes import UNVERSIONED, VERSIONED, VERSIONS, Access, Handler, Route
from services.api.schemas.fields import as_id
from services.api.tracing import trace_requests

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def create_app(dependencies: Dependencies) -> Flask:
    """The application over these dependencies. Does no I/O."""
    app = Flask("lossline-api", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    identify(app)
    measure(app)
    if dependencies.tracer is not None:
        trace_requests(app, dependencies.tracer)
    for route in UNVERSIONED:
        _add(app, dependencies, route, "")
    left_out = {"v2"} if dependencies.settings.disable_v2 else set()
    for route in VERSIONED:
        for version in route.versions:
            if version not in left_out:
                _add(app, dependencies, route, version)
    add_pages(app, tuple(version for version in VERSIONS if version not in left_out))
    answer_failures(app)
    # Links follow the proxy's host and scheme, and the sub-path that the request came by.
    proxies = dependencies.settings.proxies
    app.wsgi_app = ProxyFix(SubPath(app.wsgi_app), x_for=proxies, x_proto=1, x_host=1)  # type: ignore[method-assign]
    return app


def _add(app: Flask, dependencies: Dependencies, route: Route, version: str) -> None:
    path = f"/{version}/{route.path}" if version else f"/{route.path}"
    view = _view(dependencies, route, version)
    app.add_url_rule(path, endpoint=path, view_func=view, methods=METHODS, provide_automatic_options=False)


def _view(dependencies: Dependencies, route: Route, version: str) -> Callable[..., Response]:
    def view(**texts: str) -> Response:
        request = flask.request
        redirect = slash_redirect(request)
        if redirect is not None:
            return redirect
        negotiate(request)
        # Of whatever is read: handlers of files set another limit.
        request.max_content_length = dependencies.settings.json_limit
        with Call(request, dependencies, version) as call:
            _admit(call, route.access)
            handler = _handler(route, request.method)
            pks = {name: _pk(text) for name, text in texts.items()}
            answer = handler(call, **pks)
            record(call, route, answer, pks.get("pk"))
            return answer

    return view


def _admit(call: Call, access: Access) -> None:
    if access == Access.EVERYBODY:
        return
    call.account = authenticate(call.request, call.door)
    if access == Access.STAFF and not call.account.is_administrator:
        raise Forbidden


def _handler(route: Route, method: str) -> Handler:
    handler = route.handlers.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise MethodNotAllowed(method, list(route.handlers))
    return handler


def _pk(text: str) -> int:
    pk = as_id(text)
    if pk is None:
        raise NotFound
    return pk
