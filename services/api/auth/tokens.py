"""JSON web tokens: HS256, claims as the Oasis platform writes them. No I/O.

The key that signs is the SHA-256 of the configured text: clients never look into tokens, and HS256 wants 32 bytes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import jwt
from jwt.types import Options

ACCESS = "access"
REFRESH = "refresh"

REVOKED = "Token is blacklisted"
"""What clients of the Oasis platform hear of a token that is used up or revoked."""

_OPTIONS: Options = {"require": ["exp", "jti", "user_id"], "verify_iat": False}
"""A token may have been signed on another host, whose clock is ahead, or before this one's was set back."""


class InvalidToken(Exception):
    """Token is invalid"""

    def __init__(self, message: str | None = None, why: str = "") -> None:
        self.message = message or str(self.__doc__)
        self.why = why
        """More than clients are told, for the log."""
        super().__init__(self.message)


@dataclass(frozen=True)
class Owner:
    """Whose a token is; all tokens of an earlier generation than the account's are revoked."""

    user_id: int
    generation: int = 0


@dataclass(frozen=True)
class Claims:
    """What a token says."""

    user_id: int
    jti: str
    expires: datetime
    generation: int = 0


def issue(key: str, kind: str, owner: Owner, lifetime: timedelta, now: datetime) -> str:
    """A signed token of this kind."""
    claims = {
        "token_type": kind,
        "exp": now + lifetime,
        "iat": now,
        "jti": uuid4().hex,
        "user_id": str(owner.user_id),
        "generation": owner.generation,
    }
    return jwt.encode(claims, _signing_key(key), algorithm="HS256")


def read(key: str, kind: str | None, token: str) -> Claims:
    """The claims of a token of this kind, None for either. Raises InvalidToken with the reason that clients know."""
    try:
        claims: dict[str, Any] = jwt.decode(token, _signing_key(key), algorithms=["HS256"], options=_OPTIONS)
    except jwt.ExpiredSignatureError:
        raise InvalidToken("Token is expired") from None
    except (jwt.InvalidTokenError, ValueError):
        raise InvalidToken from None
    if claims.get("token_type") not in ((ACCESS, REFRESH) if kind is None else (kind,)):
        raise InvalidToken("Token has wrong type")
    try:
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        return Claims(int(claims["user_id"]), str(claims["jti"]), expires, int(claims.get("generation", 0)))
    except (ValueError, TypeError, OverflowError, OSError):
        raise InvalidToken from None


def _signing_key(key: str) -> bytes:
    return sha256(key.encode()).digest()
