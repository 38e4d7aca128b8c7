"""Whom a request comes from: a bearer token, or Basic credentials. Source: oasis_api.md sections 0 and 1.1."""

from base64 import b64decode
from binascii import Error as BadBase64

from flask import Request
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from services.api.auth import tokens
from services.api.auth.accounts import Account, account_of, first_superuser
from services.api.auth.door import Door
from services.api.auth.login import log_in
from services.api.errors import NotAuthenticated
from services.api.settings import AuthSettings
from shared.database.resources import RevokedToken, User


def authenticate(request: Request, door: Door) -> Account:
    """The account that asks. Raises NotAuthenticated with the reason, TooManyAttempts."""
    auth, session = door.auth, door.session
    if auth.disabled:
        return _owner_of_everything(session)
    header = request.headers.get("Authorization", "")
    scheme, _, credentials = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return _by_token(session, auth, credentials)
    if scheme.lower() == "basic":
        return _by_password(request, door, credentials.strip())
    raise NotAuthenticated


def _owner_of_everything(session: Session) -> Account:
    user = first_superuser(session)
    if user is None:
        raise NotAuthenticated({"detail": "There is no administrator account: restart the API to make one."})
    return account_of(session, user)


def _by_token(session: Session, auth: AuthSettings, credentials: str) -> Account:
    if len(credentials.split()) != 1:
        detail = "Authorization header must contain two space-delimited values"
        raise NotAuthenticated({"detail": detail, "code": "bad_authorization_header"})
    try:
        claims = tokens.read(auth.signing_key, tokens.ACCESS, credentials.strip())
    except tokens.InvalidToken as error:
        raise NotAuthenticated(_refused(error.message)) from error
    is_revoked = exists().where(RevokedToken.jti == claims.jti)
    found = session.execute(select(User, is_revoked).where(User.id == claims.user_id)).one_or_none()
    if found is None:
        raise NotAuthenticated({"detail": "User not found", "code": "user_not_found"})
    user, revoked = found
    if not user.is_active:
        raise NotAuthenticated({"detail": "User is inactive", "code": "user_inactive"})
    if revoked or claims.generation != user.token_generation:
        raise NotAuthenticated(_refused(tokens.REVOKED))
    return account_of(session, user)


def _refused(message: str) -> dict[str, object]:
    reason = {"token_class": "AccessToken", "token_type": "access", "message": message}
    return {
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [reason],
    }


def _by_password(request: Request, door: Door, credentials: str) -> Account:
    try:
        username, separator, password = b64decode(credentials, validate=True).decode().partition(":")
    except (BadBase64, ValueError):
        raise NotAuthenticated({"detail": "Invalid basic header. Credentials not correctly base64 encoded."}) from None
    user = log_in(request, door, username, password) if separator else None
    if user is None:
        raise NotAuthenticated({"detail": "Invalid username/password."})
    return account_of(door.session, user)
