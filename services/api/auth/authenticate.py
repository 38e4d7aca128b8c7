"""Whom a request comes from: a bearer token, or Basic credentials. Source: oasis_api.md sections 0 and 1.1."""

import logging
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
from services.api.oidc.people import account_for
from shared.database.resources import RevokedToken, User

log = logging.getLogger(__name__)


def authenticate(request: Request, door: Door) -> Account:
    """The account that asks. Raises NotAuthenticated with the reason, TooManyAttempts, ProviderDown."""
    if door.auth.disabled:
        return _owner_of_everything(door.session)
    header = request.headers.get("Authorization", "")
    scheme, _, credentials = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return _by_token(door, _token_of(credentials))
    if scheme.lower() == "basic" and door.provider is None:
        return _by_password(request, door, credentials.strip())
    raise NotAuthenticated


def _owner_of_everything(session: Session) -> Account:
    user = first_superuser(session)
    if user is None:
        raise NotAuthenticated({"detail": "There is no administrator account: restart the API to make one."})
    return account_of(session, user)


def _token_of(credentials: str) -> str:
    if len(credentials.split()) != 1:
        detail = "Authorization header must contain two space-delimited values"
        raise NotAuthenticated({"detail": detail, "code": "bad_authorization_header"})
    return credentials.strip()


def _by_token(door: Door, token: str) -> Account:
    try:
        if door.provider is not None:
            return account_for(door.engine, door.session, door.provider.identify(token))
        return _by_own_token(door.session, tokens.read(door.auth.signing_key, tokens.ACCESS, token))
    except tokens.InvalidToken as error:
        log.info("A token was refused", extra={"reason": error.why or error.message})
        raise NotAuthenticated(_refused(error.message)) from error


def _by_own_token(session: Session, claims: tokens.Claims) -> Account:
    is_revoked = exists().where(RevokedToken.jti == claims.jti)
    found = session.execute(select(User, is_revoked).where(User.id == claims.user_id)).one_or_none()
    if found is None:
        raise NotAuthenticated({"detail": "User not found", "code": "user_not_found"})
    user, revoked = found
    if not user.is_active:
        raise NotAuthenticated({"detail": "User is inactive", "code": "user_inactive"})
    if revoked or claims.generation != user.token_generation:
        raise tokens.InvalidToken(tokens.REVOKED)
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
