"""Whether an answer is one that the OpenAPI document promises. The client of these tests asks it of every answer."""

import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from services.api.openapi.document import openapi_document

ALWAYS = frozenset({301, 405, 500})
"""Of every path: a missing slash, a method that it does not have, and bugs, which a few tests make."""


def assert_documented(method: str, url: str, answer: TestResponse) -> None:
    """Raises AssertionError for a status, or a body, that is not in the document. Other paths are not looked at."""
    path = _template(url.partition("?")[0].removeprefix("/api"))
    method = "get" if method == "HEAD" else method.lower()
    if path is None or method not in openapi_document()["paths"][path] or answer.status_code in ALWAYS:
        return
    if answer.status_code == 404 and answer.mimetype == "text/html":
        return  # a version that is left out
    promised = _promised(path, method, answer.status_code)
    assert promised is not None, f"{method} {path}: {answer.status_code} is not in the document"
    content = promised.get("content", {})
    if "application/json" in content and answer.request.method != "HEAD":
        problems = [
            f"{each.json_path}: {each.message}" for each in _validator(path, method, answer.status_code)(answer)
        ]
        assert not problems, f"{method} {path}, {answer.status_code}: {problems}"


def json_schema(found: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema, where null is a type and not a word beside it."""
    if isinstance(found, list):
        return [json_schema(each) for each in found]
    if not isinstance(found, dict):
        return found
    rest = {name: json_schema(value) for name, value in found.items() if name != "nullable"}
    if found.get("nullable") and "type" in found:
        rest["type"] = [found["type"], "null"]
    return rest


def _template(path: str) -> str | None:
    return next((template for template, pattern in _patterns() if pattern.fullmatch(path)), None)


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    paths = openapi_document()["paths"]
    return [(path, re.compile(re.sub(r"\\{\w+\\}", "[0-9]+", re.escape(path)) + "?")) for path in paths]


def _promised(path: str, method: str, status: int) -> Any:
    found = openapi_document()["paths"][path][method]["responses"].get(str(status))
    if found and "$ref" in found:
        return openapi_document()["components"]["responses"][found["$ref"].rsplit("/", 1)[1]]
    return found


@cache
def _components() -> Any:
    return json_schema({"schemas": openapi_document()["components"]["schemas"]})


@cache
def _validator(path: str, method: str, status: int) -> Any:
    schema = json_schema(_promised(path, method, status)["content"]["application/json"]["schema"])
    whole = {**schema, "components": _components()}
    checker = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return lambda answer: checker.iter_errors(answer.json)
