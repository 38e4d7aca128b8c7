"""Logging in with a password, as often as the limits allow."""

from services.api.auth.accounts import find_by_password
from services.api.auth.attempts import Attempts
from services.api.call import Call
from services.api.http import is_storable
from shared.database.resources import User


def log_in(call: Call, username: str, password: str) -> User | None:
    """The active user with these credentials, None where there is none. Raises TooManyAttempts."""
    if not is_storable(username + password):
        return None
    limits = call.dependencies.settings.auth.login_limits
    attempts = Attempts(call.dependencies.engine, limits, username, call.address)
    has_failed = attempts.refuse_too_many()
    user = find_by_password(call.session, username, password)
    if user is None:
        attempts.note_failure(call.request.path)
    elif has_failed:
        attempts.forget()
    return user
