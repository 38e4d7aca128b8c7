"""What the token endpoint is asked for, and what it answers. Source: RFC 6749, sections 2.3.1, 4 and 6."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from services.api.errors import ProviderDown
from services.api.oidc.metadata import Metadata
from services.api.oidc.wire import Wire

_REFUSALS = (400, 401, 403)
_UNTOLD = 60.0
"""Seconds that a token is taken to live where the provider does not say."""


class GrantRefused(Exception):
    """The provider gives no tokens for these credentials."""

    def __init__(self, error: str) -> None:
        self.error = error
        """The word of the provider: `invalid_client`, `invalid_grant` and so on."""
        super().__init__(f"{self.__doc__} It says {error!r}.")


@dataclass(frozen=True)
class Tokens:
    """What a grant has brought. `expires_in` in seconds."""

    access: str = field(repr=False)
    expires_in: float
    refresh: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)


@dataclass(frozen=True)
class Client:
    """Who asks the token endpoint."""

    name: str
    secret: str = field(repr=False)


def ask_for_tokens(wire: Wire, metadata: Metadata, client: Client, form: Mapping[str, str]) -> Tokens:
    """Raises GrantRefused, ProviderDown."""
    if metadata.takes_form:
        answer = wire.post(metadata.token, {**form, "client_id": client.name, "client_secret": client.secret}, {})
    else:
        answer = wire.post(metadata.token, form, {"Authorization": _basic(client)})
    if answer.status in _REFUSALS:
        raise GrantRefused(str(answer.body.get("error", "")))
    if answer.status != 200:
        raise ProviderDown(f"POST {metadata.token} is answered with status {answer.status}")
    return _tokens(answer.body)


def _basic(client: Client) -> str:
    pair = f"{quote_plus(client.name)}:{quote_plus(client.secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _tokens(body: Mapping[str, Any]) -> Tokens:
    try:
        access, lifetime = body["access_token"], float(body.get("expires_in") or _UNTOLD)
    except (KeyError, TypeError, ValueError) as error:
        raise ProviderDown(f"the answer to a grant is not as agreed: {error!r}") from error
    texts = (access, body.get("refresh_token") or "", body.get("id_token") or "")
    if not all(isinstance(text, str) for text in texts):
        raise ProviderDown("the answer to a grant is not as agreed: a token is no text")
    return Tokens(texts[0], lifetime, texts[1], texts[2])
