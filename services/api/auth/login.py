"""Logging in, as often as the limits allow: with a password here, with the secret of a client at its provider."""

import logging
from collections.abc import Callable
from typing import TypeVar

from flask import Request

from services.api.auth.accounts import find_by_password
from services.api.auth.attempts import Attempts
from services.api.auth.door import Door
from services.api.http import is_storable
from shared.database.resources import User

log = logging.getLogger(__name__)

T = TypeVar("T")


def log_in(request: Request, door: Door, username: str, password: str) -> User | None:
    """The active user with these credentials, None where there is none. Raises TooManyAttempts."""
    if not is_storable(username + password):
        return None
    return limited(request, door, username, lambda: find_by_password(door.session, username, password))


def limited(request: Request, door: Door, name: str, attempt: Callable[[], T | None]) -> T | None:
    """What the attempt of this account brings; None is a failure, and counts. Raises TooManyAttempts."""
    attempts = Attempts(door.engine, door.auth.login_limits, name, request.remote_addr or "")
    has_failed = attempts.refuse_too_many()
    found = attempt()
    if found is None:
        log.warning("a login failed", extra={"username": name, "address": request.remote_addr})
        attempts.note_failure(request.path)
    elif has_failed:
        attempts.forget()
    return found
