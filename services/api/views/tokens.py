"""access_token/ and refresh_token/. Source: oasis_api.md section 1.1."""

from datetime import UTC, datetime
from typing import Any

from flask import Response
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from services.api.auth import tokens
from services.api.auth.accounts import find_by_password
from services.api.call import Call
from services.api.errors import BadRequest, BadToken
from services.api.http import body_of, is_storable, json_answer
from shared.database.resources import RevokedToken, User


def create_tokens(call: Call) -> Response:
    """Tokens for a username and a password."""
    auth = call.dependencies.settings.auth
    body = body_of(call.request)
    body = body if isinstance(body, dict) else {}
    if body.get("client_id") and body.get("client_secret"):
        raise BadRequest([f"OIDC client credentials flow is disabled on this server for api auth_type {auth.kind}."])
    if not (body.get("username") and body.get("password")):
        raise BadRequest(
            ['ERROR: Can only call access_token with "username AND password" or "client_id AND client_secret"']
        )
    if auth.disabled:
        raise BadRequest(
            [f"Simple JWT username/password flow is disabled on this server for api auth_type {auth.kind}."]
        )
    user = _user_of(call, str(body["username"]), str(body["password"]))
    return json_answer({"refresh_token": _issue(call, tokens.REFRESH, user.id), **_access(call, user.id)})


def refresh_tokens(call: Call) -> Response:
    """A new access token for a refresh token, which is used up by it."""
    auth = call.dependencies.settings.auth
    header = call.request.headers.get("Authorization")
    if not header:
        raise BadRequest({"Detail": ["header 'authorization' must not be null"]})
    token = header[len("Bearer ") :].strip()
    try:
        claims = tokens.read(auth.signing_key, tokens.REFRESH, token)
        user = _active(call, claims.user_id)
        if auth.rotate_refresh:
            _use_up(call, claims)
            token = _issue(call, tokens.REFRESH, user.id)
    except tokens.InvalidToken as error:
        raise BadToken({"detail": error.message, "code": "token_not_valid"}) from error
    return json_answer({**_access(call, user.id), "refresh_token": token})


def _user_of(call: Call, username: str, password: str) -> User:
    user = find_by_password(call.session, username, password) if is_storable(username + password) else None
    if user is None:
        raise BadToken
    return user


def _active(call: Call, user_id: int) -> User:
    user = call.session.scalars(select(User).where(User.id == user_id, User.is_active)).one_or_none()
    if user is None:
        raise tokens.InvalidToken
    return user


def _use_up(call: Call, claims: tokens.Claims) -> None:
    session = call.session
    row = insert(RevokedToken).values(jti=claims.jti, expires=claims.expires)
    if session.scalar(row.on_conflict_do_nothing().returning(RevokedToken.jti)) is None:
        raise tokens.InvalidToken("Token is blacklisted")
    session.execute(delete(RevokedToken).where(RevokedToken.expires < func.now()))


def _access(call: Call, user_id: int) -> dict[str, Any]:
    lifetime = call.dependencies.settings.auth.access_lifetime
    token = _issue(call, tokens.ACCESS, user_id)
    return {"access_token": token, "token_type": "Bearer", "expires_in": lifetime.total_seconds()}


def _issue(call: Call, kind: str, user_id: int) -> str:
    auth = call.dependencies.settings.auth
    lifetime = auth.access_lifetime if kind == tokens.ACCESS else auth.refresh_lifetime
    return tokens.issue(auth.signing_key, kind, user_id, lifetime, datetime.now(UTC))
