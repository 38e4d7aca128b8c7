"""Logging in with a password, as often as the limits allow."""

import logging

from flask import Request

from services.api.auth.accounts import find_by_password
from services.api.auth.attempts import Attempts
from services.api.auth.door import Door
from services.api.http import is_storable
from shared.database.resources import User

log = logging.getLogger(__name__)


def log_in(request: Request, door: Door, username: str, password: str) -> User | None:
    """The active user with these credentials, None where there is none. Raises TooManyAttempts."""
    if not is_storable(username + password):
        return None
    attempts = Attempts(door.engine, door.auth.login_limits, username, request.remote_addr or "")
    has_failed = attempts.refuse_too_many()
    user = find_by_password(door.session, username, password)
    if user is None:
        log.warning("a login failed", extra={"username": username, "address": request.remote_addr})
        attempts.note_failure(request.path)
    elif has_failed:
        attempts.forget()
    return user
