"""Whether an access token is one of the provider's, for this server, and in force. No I/O.

Only RS256 and ES256, each with keys of its own kind that the provider publishes for signatures: nothing that a token
says of itself chooses how it is checked, but for which of those keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from services.api.auth.tokens import InvalidToken

ALGORITHMS = ("RS256", "ES256")

_ACCOUNT = frozenset({"account"})
"""The audience that Keycloak writes where nobody has set one."""
_OTHER_KINDS = frozenset({"id", "refresh", "offline", "logout"})
"""What Keycloak says in `typ` of tokens that open nothing."""
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "events"})
"""What only tokens have that tell a client of a login or logout, and are good for nothing else."""


class UnknownKey(InvalidToken):
    """Token is invalid"""


@dataclass(frozen=True)
class Expected:
    """What a token must say."""

    issuer: str
    audiences: frozenset[str]
    leeway: float
    party_counts: bool = False
    """Whether a token without an audience of its own is for the client that it was issued to, as in Keycloak."""


def read_keys(document: Mapping[str, Any]) -> tuple[PyJWK, ...]:
    """The keys for signatures of the two algorithms; what else there is, is left out."""
    entries = document.get("keys")
    found = (_key(entry) for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()
    return tuple(key for key in found if key is not None)


def choose_key(token: str, keys: tuple[PyJWK, ...]) -> PyJWK:
    """The key that the token names; it may name none where there is only one. Raises UnknownKey, InvalidToken."""
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError):
        raise InvalidToken(why="it is no JSON web token") from None
    if header.get("alg") not in ALGORITHMS:
        raise InvalidToken(why=f"its algorithm is {header.get('alg')!r}")
    kid = header.get("kid")
    fitting = [key for key in keys if key.algorithm_name == header["alg"] and kid in (None, key.key_id)]
    if len(fitting) != 1:
        raise UnknownKey(why=f"the provider publishes no key {kid!r} for {header['alg']}")
    return fitting[0]


def verify(token: str, key: PyJWK, expected: Expected) -> Mapping[str, Any]:
    """The claims. Raises InvalidToken with the reason that clients know."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=expected.issuer,
            leeway=expected.leeway,
            options={"require": ["exp", "iat", "iss", "sub"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise InvalidToken("Token is expired") from None
    except (PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise InvalidToken(why=str(error)) from error
    _refuse_other_kinds(claims)
    _refuse_other_audiences(claims, expected)
    return claims


def _refuse_other_kinds(claims: Mapping[str, Any]) -> None:
    if str(claims.get("typ", "")).lower() in _OTHER_KINDS or not _ID_TOKEN_CLAIMS.isdisjoint(claims):
        raise InvalidToken("Token has wrong type")


def _refuse_other_audiences(claims: Mapping[str, Any], expected: Expected) -> None:
    named = claims.get("aud") or []
    audiences = frozenset(str(each) for each in (named if isinstance(named, list) else [named]))
    if audiences & expected.audiences:
        return
    if expected.party_counts and audiences <= _ACCOUNT and claims.get("azp") in expected.audiences:
        return
    raise InvalidToken(why=f"it is meant for {sorted(audiences)}, issued to {claims.get('azp')!r}")


def _key(entry: dict[str, Any]) -> PyJWK | None:
    try:
        key = PyJWK(entry)
    except (PyJWTError, ValueError, TypeError):
        return None
    is_for_signatures = key.public_key_use in (None, "sig")
    return key if is_for_signatures and key.algorithm_name in ALGORITHMS else None
