"""Whom the claims of a token tell of. No I/O. Source: oasis_api.md section 1.1."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from services.api.auth.tokens import InvalidToken

ADMINISTRATORS = "admin"
"""The group whose members administer the platform."""

_LONGEST_SUBJECT = 255
_LONGEST_NAME = 150


@dataclass(frozen=True)
class Identity:
    """An account of the provider, as one of its tokens tells of it."""

    issuer: str
    subject: str
    username: str
    is_service: bool
    groups: frozenset[str]
    as_of: datetime
    """When the provider said so."""
    expires: datetime
    digest: str
    """Of what was signed; by it the token is known when it is revoked."""

    @property
    def is_administrator(self) -> bool:
        """Members of the group of administrators, and service accounts."""
        return self.is_service or ADMINISTRATORS in self.groups

    @property
    def another_username(self) -> str:
        """For the account whose name somebody else has already."""
        suffix = sha256(f"{self.issuer} {self.subject}".encode()).hexdigest()[:8]
        return f"{self.username[: _LONGEST_NAME - len(suffix) - 1]}-{suffix}"


def identity_of(token: str, claims: Mapping[str, Any], as_of: datetime | None = None) -> Identity:
    """`as_of`: when the claims were told, if that is later than the token.

    Raises InvalidToken where they name nobody that the database can hold.
    """
    subject = _text(claims.get("sub"), _LONGEST_SUBJECT)
    if subject is None:
        raise InvalidToken(why="its subject is no name")
    is_service = claims.get("is_service_account") in (True, "true", "True")
    preferred = _text(claims.get("preferred_username"), _LONGEST_NAME)
    username = f"svc-{subject}" if is_service else preferred or subject
    return Identity(
        issuer=str(claims["iss"]),
        subject=subject,
        username=username[:_LONGEST_NAME],
        is_service=is_service,
        groups=_groups(claims.get("groups")),
        as_of=as_of or _moment(claims["iat"]),
        expires=_moment(claims["exp"]),
        digest=sha256(token.rpartition(".")[0].encode()).hexdigest(),
    )


def _groups(named: Any) -> frozenset[str]:
    """Keycloak writes the path of a group: the slash at its beginning goes. What cannot be a name is left out."""
    names = (_text(each, _LONGEST_NAME + 1) for each in (named if isinstance(named, list) else ()))
    plain = (name.removeprefix("/") for name in names if name is not None)
    return frozenset(name for name in plain if 0 < len(name) <= _LONGEST_NAME)


def _text(value: Any, longest: int) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() else None


def _moment(seconds: Any) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise InvalidToken from None
