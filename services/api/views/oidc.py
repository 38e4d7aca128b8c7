"""oidc/: a person logs in at the provider, by way of the browser. Source: oasis_api.md section 1.1.

What differs from the reference: it leads back only to known hosts, `state` belongs to the browser that began, and the
`session_token` is sealed and good once.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any

from flask import Response
from sqlalchemy.dialects.postgresql import insert

from services.api.call import Call
from services.api.errors import ApiError, BadRequest, BadToken, Unavailable
from services.api.http import body_of, json_answer
from services.api.oidc.grants import GrantRefused, Tokens
from services.api.oidc.handover import BadSeal, Expired, Purpose, seal, unseal
from services.api.oidc.login import account_of_tokens
from services.api.oidc.provider import Provider
from services.api.oidc.returning import may_return, with_value
from shared.database.resources import RevokedToken

COOKIE = "lossline_login"

_LOGIN_WITHIN = 600
_HAND_OVER_WITHIN = 60
"""Seconds."""


def authorize(call: Call) -> Response:
    """Lead the browser to the provider; `next` is where it comes back to in the end."""
    provider = _provider(call)
    target = call.request.args.get("next") or call.request.root_path or "/"
    _refuse_strangers(call, provider, target)
    nonce = token_urlsafe(16)
    state = seal(_key(call), Purpose.LOGIN, {"next": target, "nonce": nonce}, datetime.now(UTC))
    asked = {
        "response_type": "code",
        "client_id": provider.settings.client,
        "redirect_uri": _callback_url(call),
        "scope": provider.metadata.scope("offline_access"),
        "state": state,
    }
    answer = _redirect(provider.metadata.authorization, asked)
    # Only the browser that began a login may end it: else one could be logged in as somebody else by a link.
    answer.set_cookie(
        COOKIE, nonce, max_age=_LOGIN_WITHIN, httponly=True, samesite="Lax", secure=call.request.is_secure
    )
    return answer


def end_login(call: Call) -> Response:
    """Take the code that the browser brings from the provider, and lead it back with a `session_token`."""
    provider = _provider(call)
    target = _begun(call)
    _refuse_strangers(call, provider, target)
    tokens = _redeem(provider, call.request.args.get("code", ""), _callback_url(call))
    sealed = seal(_key(call), Purpose.SESSION, _texts(tokens), datetime.now(UTC))
    answer = _redirect(target, {"session_token": sealed})
    answer.delete_cookie(COOKIE)
    return answer


def redeem_code(call: Call) -> Response:
    """Tokens for a code that a user interface has from the provider itself."""
    provider = _provider(call)
    body = _fields(call)
    tokens = _redeem(provider, body.get("code", ""), body.get("redirect_uri") or _callback_url(call))
    call.account = account_of_tokens(call.door, provider, tokens)
    return json_answer(_answer(_texts(tokens)))


def redeem_session_token(call: Call) -> Response:
    """Tokens for the `session_token` of a login, once."""
    provider = _provider(call)
    sealed = _fields(call).get("session_token")
    if not sealed:
        raise BadRequest({"detail": "Missing session_token"})
    try:
        found = unseal(_key(call), Purpose.SESSION, sealed, datetime.now(UTC), _HAND_OVER_WITHIN)
    except Expired as error:
        raise BadRequest({"detail": "Expired session_token"}) from error
    except BadSeal as error:
        raise BadRequest({"detail": "Invalid session_token"}) from error
    _use_up(call, sealed)
    tokens = Tokens(found["access"], float(found["expires_in"]), found["refresh"], found["identity"])
    call.account = account_of_tokens(call.door, provider, tokens)
    return json_answer(_answer(found))


def log_out(call: Call) -> Response:
    """Lead the browser to where the provider ends its session."""
    hint = call.request.args.get("id_token_hint")
    return _redirect(_provider(call).metadata.end_session, {"id_token_hint": hint} if hint else {})


def _provider(call: Call) -> Provider:
    provider = call.dependencies.provider
    if provider is None:
        kind = call.dependencies.settings.auth.kind
        raise BadRequest([f"OIDC login flow is disabled on this server for api auth_type {kind}."])
    return provider


def _key(call: Call) -> str:
    return call.dependencies.settings.auth.signing_key


def _callback_url(call: Call) -> str:
    return f"{call.request.root_url}oidc/callback/"


def _refuse_strangers(call: Call, provider: Provider, target: str) -> None:
    if not may_return(target, call.request.host, provider.settings.return_hosts):
        raise BadRequest(
            {"next": ["A path of this server, or an address on a host of OASIS_SERVER_OIDC_RETURN_HOSTS."]}
        )


def _begun(call: Call) -> str:
    """Where the login of this browser leads back to. Raises BadRequest."""
    try:
        state = unseal(_key(call), Purpose.LOGIN, call.request.args.get("state", ""), datetime.now(UTC), _LOGIN_WITHIN)
    except BadSeal as error:
        raise BadRequest({"detail": "This login has not begun here, or too long ago. Try again."}) from error
    if not compare_digest(state["nonce"].encode(), call.request.cookies.get(COOKIE, "").encode("utf-8", "replace")):
        raise BadRequest({"detail": "This login has begun in another browser. Try again."})
    return state["next"]


def _redeem(provider: Provider, code: str, redirect_uri: str) -> Tokens:
    refused: ApiError = BadToken({"Detail": "invalid authorization code"})
    if not code:
        raise refused
    try:
        return provider.redeem(code, redirect_uri)
    except GrantRefused as error:
        raise refused from error


def _use_up(call: Call, sealed: str) -> None:
    digest = sha256(sealed.encode()).hexdigest()
    expires = datetime.now(UTC) + timedelta(seconds=_HAND_OVER_WITHIN)
    row = insert(RevokedToken).values(jti=digest, expires=expires).on_conflict_do_nothing()
    if call.session.scalar(row.returning(RevokedToken.jti)) is None:
        raise BadRequest({"detail": "Invalid session_token"})


def _fields(call: Call) -> dict[str, str]:
    body = body_of(call.request)
    return {name: value for name, value in body.items() if isinstance(value, str)} if isinstance(body, dict) else {}


def _texts(tokens: Tokens) -> dict[str, str]:
    return {
        "access": tokens.access,
        "expires_in": str(tokens.expires_in),
        "refresh": tokens.refresh,
        "identity": tokens.identity,
    }


def _answer(texts: dict[str, str]) -> dict[str, Any]:
    return {
        "access_token": texts["access"],
        "token_type": "Bearer",
        "expires_in": float(texts["expires_in"]),
        "id_token": texts["identity"],
        "refresh_token": texts["refresh"],
    }


def _redirect(url: str | None, values: dict[str, str]) -> Response:
    if url is None:
        raise Unavailable({"detail": "The OpenID Connect provider does not offer this."})
    for name, value in values.items():
        url = with_value(url, name, value)
    answer = Response(status=302)
    answer.headers["Location"] = url
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    del answer.headers["Content-Type"]
    return answer
