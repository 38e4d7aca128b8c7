"""access_token/, refresh_token/ and revoke_token/. Source: oasis_api.md section 1.1; the last is ours."""

from datetime import UTC, datetime
from typing import Any

from flask import Response
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from services.api.auth import tokens
from services.api.auth.accounts import account_of
from services.api.auth.login import log_in
from services.api.call import Call
from services.api.errors import BadRequest, BadToken
from services.api.http import body_of, empty_answer, json_answer
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
    user = log_in(call.request, call.door, str(body["username"]), str(body["password"]))
    if user is None:
        raise BadToken
    call.account = account_of(call.session, user)
    return json_answer({"refresh_token": _issue(call, tokens.REFRESH, user), **_access(call, user)})


def refresh_tokens(call: Call) -> Response:
    """A new access token for a refresh token, which is used up by it."""
    auth = call.dependencies.settings.auth
    token = _bearer(call)
    try:
        claims = tokens.read(auth.signing_key, tokens.REFRESH, token)
        user = _active(call, claims)
        if auth.rotate_refresh:
            _use_up(call, claims)
            token = _issue(call, tokens.REFRESH, user)
        else:
            _refuse_revoked(call, claims)
    except tokens.InvalidToken as error:
        raise _bad(error) from error
    return json_answer({**_access(call, user), "refresh_token": token})


def revoke_token(call: Call) -> Response:
    """The token of the header, of either kind, is good no more; with `all` no token of the account is."""
    body = body_of(call.request)
    try:
        claims = tokens.read(call.dependencies.settings.auth.signing_key, None, _bearer(call))
        user = _active(call, claims)
        _use_up(call, claims)
    except tokens.InvalidToken as error:
        raise _bad(error) from error
    if isinstance(body, dict) and body.get("all") in (True, "true", "True"):
        user.token_generation = User.token_generation + 1
    call.account = account_of(call.session, user)
    return empty_answer(204)


def _bearer(call: Call) -> str:
    header = call.request.headers.get("Authorization")
    if not header:
        raise BadRequest({"Detail": ["header 'authorization' must not be null"]})
    return header[len("Bearer ") :].strip()


def _bad(error: tokens.InvalidToken) -> BadToken:
    return BadToken({"detail": error.message, "code": "token_not_valid"})


def _active(call: Call, claims: tokens.Claims) -> User:
    user = call.session.scalars(select(User).where(User.id == claims.user_id, User.is_active)).one_or_none()
    if user is None:
        raise tokens.InvalidToken
    if claims.generation != user.token_generation:
        raise tokens.InvalidToken(tokens.REVOKED)
    return user


def _refuse_revoked(call: Call, claims: tokens.Claims) -> None:
    if call.session.get(RevokedToken, claims.jti) is not None:
        raise tokens.InvalidToken(tokens.REVOKED)


def _use_up(call: Call, claims: tokens.Claims) -> None:
    session = call.session
    row = insert(RevokedToken).values(jti=claims.jti, expires=claims.expires)
    if session.scalar(row.on_conflict_do_nothing().returning(RevokedToken.jti)) is None:
        raise tokens.InvalidToken(tokens.REVOKED)
    session.execute(delete(RevokedToken).where(RevokedToken.expires < func.now()))


def _access(call: Call, user: User) -> dict[str, Any]:
    lifetime = call.dependencies.settings.auth.access_lifetime
    token = _issue(call, tokens.ACCESS, user)
    return {"access_token": token, "token_type": "Bearer", "expires_in": lifetime.total_seconds()}


def _issue(call: Call, kind: str, user: User) -> str:
    auth = call.dependencies.settings.auth
    lifetime = auth.access_lifetime if kind == tokens.ACCESS else auth.refresh_lifetime
    owner = tokens.Owner(user.id, user.token_generation)
    return tokens.issue(auth.signing_key, kind, owner, lifetime, datetime.now(UTC))
