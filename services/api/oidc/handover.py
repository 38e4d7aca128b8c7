"""What a login hands over by way of a browser: sealed, so that neither its history nor a log holds tokens. No I/O."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken


class Purpose(StrEnum):
    """What is sealed for one is no good for another."""

    LOGIN = "login"
    SESSION = "session"


class BadSeal(Exception):
    """It has not been sealed here for this purpose."""


class Expired(BadSeal):
    """It has been sealed here, too long ago."""


def seal(key: str, purpose: Purpose, content: Mapping[str, str], now: datetime) -> str:
    """Text that only `unseal` with this key can read, fit for an address."""
    return _fernet(key, purpose).encrypt_at_time(json.dumps(dict(content)).encode(), int(now.timestamp())).decode()


def unseal(key: str, purpose: Purpose, sealed: str, now: datetime, good_for: int) -> dict[str, str]:
    """The content; `good_for` in seconds. Raises Expired, BadSeal."""
    fernet, text = _fernet(key, purpose), sealed.encode("utf-8", "replace")
    try:
        content = fernet.decrypt(text)
        age = now.timestamp() - fernet.extract_timestamp(text)
    except (InvalidToken, TypeError, ValueError):
        raise BadSeal from None
    if age > good_for:
        raise Expired
    found: dict[str, str] = json.loads(content)
    return found


def _fernet(key: str, purpose: Purpose) -> Fernet:
    return Fernet(urlsafe_b64encode(sha256(f"{purpose} {key}".encode()).digest()))
