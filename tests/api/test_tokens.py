"""Tokens that are revoked, foreign or forged open nothing."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.api.auth import tokens
from shared.database.resources import User
from tests.api.api_client import Api

CREDENTIALS = {"username": "user", "password": "secret"}
KEY = "a key of the tests"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _log_in(api: Api) -> dict[str, str]:
    body = api.post("/access_token/", CREDENTIALS).json
    assert body is not None
    return {name: body[f"{name}_token"] for name in ("access", "refresh")}


def _opens(api: Api, token: str) -> bool:
    return api.get("models/", headers=_bearer(token)).status_code == 200


def test_a_revoked_access_token_opens_nothing_and_others_stay_good(api: Api) -> None:
    mine, other = _log_in(api), _log_in(api)

    assert api.post("/revoke_token/", headers=_bearer(mine["access"])).status_code == 204

    refused = api.get("models/", headers=_bearer(mine["access"]))
    assert (refused.status_code, (refused.json or {})["messages"][0]["message"]) == (403, "Token is blacklisted")
    assert _opens(api, other["access"])
    assert api.post("/refresh_token/", headers=_bearer(mine["refresh"])).status_code == 200


def test_a_revoked_refresh_token_refreshes_nothing(api: Api) -> None:
    mine = _log_in(api)

    for status in (204, 401):
        assert api.post("/revoke_token/", headers=_bearer(mine["refresh"])).status_code == status
    answer = api.post("/refresh_token/", headers=_bearer(mine["refresh"]))

    assert (answer.status_code, answer.json) == (401, {"detail": "Token is blacklisted", "code": "token_not_valid"})


def test_all_tokens_of_an_account_are_revoked_at_once(api: Api) -> None:
    first, second = _log_in(api), _log_in(api)

    assert api.post("/revoke_token/", {"all": True}, headers=_bearer(first["access"])).status_code == 204

    for each in (first, second):
        assert not _opens(api, each["access"])
        assert api.post("/refresh_token/", headers=_bearer(each["refresh"])).status_code == 401
    assert _opens(api, _log_in(api)["access"])
    assert api.get("models/").status_code == 200


def test_a_new_generation_ends_the_tokens_of_the_one_before(api: Api, session: Session) -> None:
    mine = _log_in(api)
    session.execute(update(User).where(User.username == "user").values(token_generation=1))
    session.commit()

    assert not _opens(api, mine["access"])
    assert api.post("/refresh_token/", headers=_bearer(mine["refresh"])).status_code == 401


def _forged(claims: dict[str, Any], header: dict[str, str]) -> str:
    parts = (urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join((*parts, ""))


@pytest.fixture
def claims(api: Api, session: Session) -> dict[str, Any]:
    admin = session.scalars(select(User).where(User.username == "admin")).one()
    now = datetime.now(UTC)
    return {
        "token_type": "access",
        "exp": int((now + timedelta(hours=1)).timestamp()),
        "iat": int(now.timestamp()),
        "jti": "a" * 32,
        "user_id": str(admin.id),
        "generation": 0,
    }


def test_a_token_of_a_host_whose_clock_is_ahead_is_good(api: Api, claims: dict[str, Any]) -> None:
    ahead = claims | {"iat": claims["iat"] + 1800}
    assert _opens(api, jwt.encode(ahead, tokens._signing_key(KEY), algorithm="HS256"))


def test_forged_and_foreign_tokens_open_nothing_and_change_nothing(api: Api, claims: dict[str, Any]) -> None:
    signing = tokens._signing_key(KEY)
    good = jwt.encode(claims, signing, algorithm="HS256")
    assert _opens(api, good)
    head, body, signature = good.split(".")
    forged = {
        "alg none": _forged(claims, {"alg": "none", "typ": "JWT"}),
        "alg None": _forged(claims, {"alg": "None"}),
        "unsigned": f"{head}.{body}.",
        "without signature": f"{head}.{body}",
        "foreign key": jwt.encode(claims, b"x" * 32, algorithm="HS256"),
        "other algorithm": jwt.encode(claims, signing.ljust(64, b"x"), algorithm="HS512"),
        "another body": f"{head}.{body[:-4]}AAAA.{signature}",
        "no user": jwt.encode(claims | {"user_id": "x"}, signing, algorithm="HS256"),
        "no such user": jwt.encode(claims | {"user_id": "99999"}, signing, algorithm="HS256"),
        "user beyond all": jwt.encode(claims | {"user_id": "9" * 30}, signing, algorithm="HS256"),
        "no expiry": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, signing, algorithm="HS256"),
        "expiry beyond all": jwt.encode(claims | {"exp": 10**30}, signing, algorithm="HS256"),
        "null": "\0",
        "much": "x" * 10_000,
    }
    for name, token in forged.items():
        header = {"Authorization": b"Bearer " + token.encode("latin-1")} if name == "null" else _bearer(token)
        answer = api.post("portfolios/", {"name": "a"}, headers=header)
        assert answer.status_code in (400, 403), (name, answer.text)
        assert api.post("/refresh_token/", headers=header).status_code in (400, 401), name

    assert api.get("portfolios/").json == []
