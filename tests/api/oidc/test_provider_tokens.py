"""Only access tokens of the provider open anything: those that it signed, for this server, in force."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK

from tests.api.api_client import Api
from tests.api.oidc.running_provider import RunningProvider

INVALID = "Token is invalid"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def message_of(api: Api, token: str) -> str:
    """What a refused token is refused with; it has changed nothing."""
    answer = api.post("portfolios/", {"name": "a"}, headers=bearer(token))
    assert answer.status_code == 403, answer.text
    message: str = (answer.json or {})["messages"][0]["message"]
    return message


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_the_provider_opens(oidc_api: Api, issuing: RunningProvider, algorithm: str) -> None:
    assert oidc_api.get("models/", headers=bearer(issuing.token(alg=algorithm))).status_code == 200


def test_claims_that_do_not_fit_open_nothing(oidc_api: Api, issuing: RunningProvider) -> None:
    now = int(time.time())
    refused: dict[str, tuple[dict[str, Any], str]] = {
        "expired": ({"exp": now - 60}, "Token is expired"),
        "not yet": ({"nbf": now + 120}, INVALID),
        "of the future": ({"iat": now + 120}, INVALID),
        "without end": ({"exp": None}, INVALID),
        "without beginning": ({"iat": None}, INVALID),
        "of nobody": ({"sub": None}, INVALID),
        "of a null": ({"sub": "a\0b"}, INVALID),
        "of one with much to say": ({"sub": "x" * 300}, INVALID),
        "foreign issuer": ({"iss": "https://elsewhere.example"}, INVALID),
        "issuer like ours": ({"iss": f"{issuing.url}/"}, INVALID),
        "no issuer": ({"iss": None}, INVALID),
        "wrong audience": ({"aud": "another-server"}, INVALID),
        "wrong audiences": ({"aud": ["another-server", "account"]}, INVALID),
        "strange audience": ({"aud": {"lossline": 1}}, INVALID),
        "issued to another": ({"aud": "account", "azp": "another-client"}, INVALID),
        "no audience at all": ({"aud": None, "azp": None}, INVALID),
        "an id token": ({"typ": "ID"}, "Token has wrong type"),
        "an id token of others": ({"typ": None, "nonce": "n"}, "Token has wrong type"),
        "a refresh token": ({"typ": "Refresh"}, "Token has wrong type"),
        "end beyond all": ({"exp": 10**30}, INVALID),
    }
    for name, (claims, message) in refused.items():
        assert message_of(oidc_api, issuing.token(**claims)) == message, name


def test_audiences_and_clocks_that_fit_open(oidc_api: Api, issuing: RunningProvider) -> None:
    now = int(time.time())
    for claims in (
        {"aud": ["another-server", "lossline"]},
        {"aud": "account", "azp": "oasis-service"},
        {"exp": now - 5},
        {"nbf": now + 5, "iat": now + 5},
    ):
        assert oidc_api.get("models/", headers=bearer(issuing.token(**claims))).status_code == 200, claims


def test_only_keycloak_lets_the_party_stand_for_the_audience(
    api_of: Callable[..., Api], issuing: RunningProvider
) -> None:
    token = issuing.token(aud="account", azp="lossline")

    assert message_of(api_of(issuing, kind="oidc"), token) == INVALID


def test_signatures_that_are_not_the_providers_open_nothing(oidc_api: Api, issuing: RunningProvider) -> None:
    good = issuing.token()
    head, body, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    published = next(key for key in issuing.published_keys() if key.get("kty") == "RSA")
    public = PyJWK(published).key
    kid = {"kid": published["kid"]}
    own = rsa.generate_private_key(65537, 2048)
    forged = {
        "alg none": _unsigned(claims, {"alg": "none", **kid}),
        "alg None": _unsigned(claims, {"alg": "None", **kid}),
        "unsigned": f"{head}.{body}.",
        "without signature": f"{head}.{body}",
        "HS256 with the public key": _hmac(
            claims, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), kid
        ),
        "HS256 with a published secret": _hmac(claims, b"secret", {"kid": "shared"}),
        "a key of their own, by the provider's name": jwt.encode(claims, own, algorithm="RS256", headers=kid),
        "a key of their own, by another name": jwt.encode(claims, own, algorithm="RS256", headers={"kid": "mine"}),
        "a key in the token": jwt.encode(claims, own, algorithm="RS256", headers={"jwk": _public_jwk(own), **kid}),
        "RS512": jwt.encode(claims, own, algorithm="RS512", headers=kid),
        "another body": f"{head}.{_part({**claims, 'sub': 'sub-ada', 'groups': ['admin']})}.{signature}",
        "another algorithm in the head": f"{_part({'alg': 'ES256', **kid})}.{body}.{signature}",
        "one of ours": jwt.encode(claims, b"a key of the tests".ljust(32, b"x"), algorithm="HS256"),
        "rubbish": "rubbish",
        "much": "x" * 7_000,
    }
    for name, token in forged.items():
        assert message_of(oidc_api, token) == INVALID, name
    assert oidc_api.get("portfolios/", headers=bearer(good)).json == []


def test_a_revoked_token_opens_nothing_and_others_stay_good(oidc_api: Api, issuing: RunningProvider) -> None:
    mine, other = issuing.token(), issuing.token()

    assert oidc_api.post("/revoke_token/", headers=bearer(mine)).status_code == 204

    assert message_of(oidc_api, mine) == "Token is blacklisted"
    assert oidc_api.post("/revoke_token/", headers=bearer(mine)).status_code == 401
    assert oidc_api.post("/revoke_token/", {"all": True}, headers=bearer(other)).status_code == 400
    assert oidc_api.get("models/", headers=bearer(other)).status_code == 200


def _part(content: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    return f"{_part(header)}.{_part(claims)}."


def _hmac(claims: dict[str, Any], secret: bytes, header: dict[str, Any]) -> str:
    """By hand: the library refuses to make such a thing."""
    signed = f"{_part({'alg': 'HS256', **header})}.{_part(claims)}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _public_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found
