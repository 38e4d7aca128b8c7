"""Whatever a request ends with other than its answer, as an answer. Source: oasis_api.md section 0."""

import logging
from typing import Any

from flask import Flask, Response, request
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.exceptions import MethodNotAllowed as UnknownMethod
from werkzeug.exceptions import NotFound as UnknownPath

from services.api.errors import ApiError, BadRequest, MethodNotAllowed, NotFound, ProviderDown, TooLarge, Unavailable
from services.api.http import json_answer
from services.api.request_ids import request_id
from shared.object_store import ObjectNotFound, ObjectStoreError

log = logging.getLogger(__name__)

_UNKNOWN_PATH = "<!doctype html>\n<html lang=en>\n<title>Not Found</title>\n<h1>Not Found</h1>\n"


def answer_failures(app: Flask) -> None:
    """Register one handler for each kind of failure."""
    app.register_error_handler(ApiError, _refused)
    app.register_error_handler(ProviderDown, _provider_down)
    app.register_error_handler(UnknownPath, _unknown_path)
    app.register_error_handler(UnknownMethod, _unknown_method)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_failure)
    app.register_error_handler(ObjectNotFound, _object_gone)
    app.register_error_handler(ObjectStoreError, _unavailable)
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(InterfaceError, _unavailable)
    app.register_error_handler(PoolTimeout, _unavailable)
    app.register_error_handler(DataError, _unstorable)
    app.register_error_handler(Exception, _bug)


def _provider_down(error: ProviderDown) -> Response:
    log.error("the provider does not answer", extra={"reason": error.reason, "path": request.path})
    return _refused(error)


def _refused(error: ApiError) -> Response:
    answer = json_answer(_said(error.body, error.status), error.status)
    answer.headers.update(error.headers)
    return answer


def _unknown_path(_error: UnknownPath) -> Response:
    return Response(_UNKNOWN_PATH, status=404, content_type="text/html; charset=utf-8")


def _unknown_method(error: UnknownMethod) -> Response:
    return _refused(MethodNotAllowed(request.method, sorted(error.valid_methods or ())))


def _http_failure(error: HTTPException) -> Response:
    status = error.code or 500
    return json_answer(_said({"detail": error.description}, status), status)


def _too_large(error: RequestEntityTooLarge) -> Response:
    limit, size = request.max_content_length, request.content_length
    if limit is None or (size is not None and size <= limit):
        # Forms have limits of their own, which werkzeug knows.
        return json_answer({"detail": "The form has too many fields, or too long ones."}, error.code)
    return _refused(TooLarge(limit))


def _object_gone(error: ObjectNotFound) -> Response:
    log.error("a file has lost its object", extra={"key": error.key, "path": request.path})
    return _refused(NotFound())


def _unavailable(error: Exception) -> Response:
    log.error("a request could not be served", exc_info=error, extra={"path": request.path, "method": request.method})
    return _refused(Unavailable())


def _unstorable(error: DataError) -> Response:
    log.warning("a request held what cannot be stored", exc_info=error, extra={"path": request.path})
    return _refused(BadRequest({"detail": "A value of this request cannot be stored."}))


def _bug(error: Exception) -> Response:
    log.error("a request failed", exc_info=error, extra={"path": request.path, "method": request.method})
    return json_answer(_said({"detail": "The request failed inside the server; its log says why."}, 500), 500)


def _said(body: Any, status: int) -> Any:
    """What is wrong with the server is in its log, under this id; bodies of other refusals are the reference's."""
    return {**body, "request_id": request_id()} if status >= 500 and isinstance(body, dict) else body
