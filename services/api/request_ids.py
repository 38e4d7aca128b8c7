"""An id for every request: the client's or the proxy's own, else one of ours. It is in the answer and in the logs."""

import logging
import re
from contextvars import ContextVar
from uuid import uuid4

from flask import Flask, Response, request

HEADER = "X-Request-Id"

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestIds(logging.Filter):
    """Adds `request_id` to what is logged while a request is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets everything through."""
        found = _current.get()
        if found is not None:
            record.request_id = found
        return True


def log_request_ids() -> None:
    """From now on, in whatever the root logger's handlers write."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(RequestIds())


def identify(app: Flask) -> None:
    """Give every request its id, and say it in every answer."""

    def begin() -> None:
        _current.set(_id_of(request.headers.get(HEADER, "")))

    def end(answer: Response) -> Response:
        answer.headers[HEADER] = request_id()
        return answer

    app.before_request(begin)
    app.after_request(end)


def request_id() -> str:
    """The id of the request that is being answered."""
    return _current.get() or ""


def _id_of(wanted: str) -> str:
    """What was sent, unless it could not be trusted in a log."""
    return wanted if _ACCEPTABLE.fullmatch(wanted) else uuid4().hex
