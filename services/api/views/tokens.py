"""access_token/, refresh_token/ and revoke_token/. Source: oasis_api.md section 1.1; the last is ours."""

from datetime import UTC, datetime, timedelta
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
from services.api.oidc import login as oidc
from services.api.oidc.people import account_for
from services.api.oidc.provider import Provider
from shared.database.resources import RevokedToken, User


def create_tokens(call: Call) -> Response:
    """Tokens for a username and a password, or for a client of the provider and its secret."""
    body = body_of(call.request)
    body = body if isinstance(body, dict) else {}
    if body.get("client_id") and body.get("client_secret"):
        return _for_client(call, str(body["client_id"]), str(body["client_secret"]))
    if body.get("username") and body.get("password"):
        return _for_user(call, str(body["username"]), str(body["password"]))
    raise BadRequest(
        ['ERROR: Can only call access_token with "username AND password" or "client_id AND client_secret"']
    )


def refresh_tokens(call: Call) -> Response:
    """A new access token for a refresh token, which is used up by it."""
    auth, provider = call.dependencies.settings.auth, call.dependencies.provider
    token = _bearer(call)
    try:
        if provider is not None:
            return json_answer(oidc.answer_of(oidc.refresh(provider, token)))
        claims = tokens.read(auth.signing_key, tokens.REFRESH, token)
        user = _active(call, claims)
        if auth.rotate_refresh:
            _use_up(call, claims.jti, claims.expires)
            token = _issue(call, tokens.REFRESH, user)
        else:
            _refuse_revoked(call, claims)
    except tokens.InvalidToken as error:
        raise _bad(error) from error
    return json_answer({**_access(call, user), "refresh_token": token})


def revoke_token(call: Call) -> Response:
    """The token of the header, of either kind, is good no more; with `all` no token of the account is."""
    body = body_of(call.request)
    wants_all = isinstance(body, dict) and body.get("all") in (True, "true", "True")
    try:
        if call.dependencies.provider is not None:
            return _revoke_at_provider(call, call.dependencies.provider, wants_all)
        claims = tokens.read(call.dependencies.settings.auth.signing_key, None, _bearer(call))
        user = _active(call, claims)
        _use_up(call, claims.jti, claims.expires)
    except tokens.InvalidToken as error:
        raise _bad(error) from error
    if wants_all:
        user.token_generation = User.token_generation + 1
    call.account = account_of(call.session, user)
    return empty_answer(204)


def _for_client(call: Call, name: str, secret: str) -> Response:
    provider = call.dependencies.provider
    if provider is None:
        kind = call.dependencies.settings.auth.kind
        raise BadRequest([f"OIDC client credentials flow is disabled on this server for api auth_type {kind}."])
    found = oidc.log_in_client(call.request, call.door, provider, name, secret)
    call.account = oidc.account_of_tokens(call.door, provider, found)
    return json_answer(oidc.answer_of(found))


def _for_user(call: Call, username: str, password: str) -> Response:
    kind = call.dependencies.settings.auth.kind
    if kind != "simple":
        raise BadRequest([f"Simple JWT username/password flow is disabled on this server for api auth_type {kind}."])
    user = log_in(call.request, call.door, username, password)
    if user is None:
        raise BadToken
    call.account = account_of(call.session, user)
    return json_answer({"refresh_token": _issue(call, tokens.REFRESH, user), **_access(call, user)})


def _revoke_at_provider(call: Call, provider: Provider, wants_all: bool) -> Response:
    if wants_all:
        raise BadRequest({"all": ["The sessions of an account are ended at its provider."]})
    identity = provider.identify(_bearer(call))
    call.account = account_for(call.dependencies.engine, call.session, identity)
    _use_up(call, identity.digest, identity.expires + timedelta(seconds=provider.settings.leeway))
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


def _use_up(call: Call, jti: str, expires: datetime) -> None:
    session = call.session
    row = insert(RevokedToken).values(jti=jti, expires=expires)
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
