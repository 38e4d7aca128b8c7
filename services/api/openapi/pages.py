"""Where the document is served, and the page to read and try it with. Source: oasis_api.md section 0, "Swagger".

Nothing on the page comes from elsewhere: Swagger UI lies in the package `flask-swagger-ui`.
"""

import mimetypes
from importlib.resources import files

from flask import Flask, Response, request

from services.api.errors import NotFound
from services.api.http import json_answer
from services.api.openapi.document import TITLE, openapi_document

ASSETS = (
    "swagger-ui.css",
    "index.css",
    "swagger-ui-bundle.js",
    "favicon-32x32.png",
)
_DAY = 24 * 3600
# Everything is named from the root that the request came by, so that it works below `/api/` and behind proxies.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="{root}/swagger-ui/index.css">
<link rel="stylesheet" href="{root}/swagger-ui/swagger-ui.css">
<link rel="icon" type="image/png" href="{root}/swagger-ui/favicon-32x32.png" sizes="32x32">
</head>
<body>
<div id="swagger-ui" data-url="{root}{url}"></div>
<script src="{root}/swagger-ui/swagger-ui-bundle.js"></script>
<script src="{root}/swagger-ui/start.js"></script>
</body>
</html>
"""
_START = """\
window.onload = () => SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.url,
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  validatorUrl: null,
});
"""
# Were the page ever made to load something from elsewhere, the browser would not. `style`: Swagger UI writes some.
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


def add_pages(app: Flask, versions: tuple[str, ...]) -> None:
    """The document of all versions and of each, and a page for each."""
    _add(app, "/openapi.json", versions)
    _add(app, "/schema/", versions)
    _add_page(app, "/", "/openapi.json")
    for version in versions:
        _add(app, f"/{version}/schema/", (version,))
        _add_page(app, f"/{version}/", f"/{version}/schema/")
    app.add_url_rule("/swagger-ui/<name>", view_func=_asset, endpoint="swagger-ui")


def _add(app: Flask, path: str, versions: tuple[str, ...]) -> None:
    def document() -> Response:
        # The server that the request came by is the first, so that the page tries that one.
        servers = {"servers": sorted(({"url": "/"}, {"url": "/api"}), key=lambda each: each["url"] != _root("/"))}
        return json_answer(openapi_document(versions) | servers)

    app.add_url_rule(path, view_func=document, endpoint=path)


def _add_page(app: Flask, path: str, url: str) -> None:
    def page() -> Response:
        answer = Response(_PAGE.format(title=TITLE, root=_root(""), url=url), content_type="text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    app.add_url_rule(path, view_func=page, endpoint=path)


def _asset(name: str) -> Response:
    if name == "start.js":
        return Response(_START, content_type="text/javascript; charset=utf-8")
    if name not in ASSETS:
        raise NotFound
    content = (files("flask_swagger_ui") / "dist" / name).read_bytes()
    answer = Response(content, content_type=mimetypes.guess_type(name)[0])
    answer.headers["Cache-Control"] = f"max-age={_DAY}"
    return answer


def _root(empty: str) -> str:
    return request.script_root or empty
