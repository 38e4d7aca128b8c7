"""Tokens for those who come to this server for them, from the provider."""

import logging
from typing import Any

from flask import Request

from services.api.auth.accounts import Account
from services.api.auth.door import Door
from services.api.auth.login import limited
from services.api.auth.tokens import InvalidToken
from services.api.errors import BadToken
from services.api.http import is_storable
from services.api.oidc.grants import GrantRefused, Tokens
from services.api.oidc.people import account_for
from services.api.oidc.provider import Provider

log = logging.getLogger(__name__)


def log_in_client(request: Request, door: Door, provider: Provider, name: str, secret: str) -> Tokens:
    """Tokens for a service. Raises BadToken, TooManyAttempts, ProviderDown."""

    def attempt() -> Tokens | None:
        try:
            return provider.log_in_client(name, secret)
        except GrantRefused as refused:
            log.info("The provider refuses a client", extra={"client": name, "error": refused.error})
            return None

    found = limited(request, door, name, attempt) if is_storable(name + secret) else None
    if found is None:
        raise BadToken
    return found


def refresh(provider: Provider, token: str) -> Tokens:
    """Raises InvalidToken, ProviderDown."""
    try:
        return provider.refresh(token)
    except GrantRefused as refused:
        log.info("The provider refuses a refresh token", extra={"error": refused.error})
        raise InvalidToken from refused


def account_of_tokens(door: Door, provider: Provider, tokens: Tokens) -> Account:
    """Whose tokens these are. Raises BadToken where this server would not take them, ProviderDown."""
    try:
        return account_for(door.engine, door.session, provider.identify(tokens.access))
    except InvalidToken as error:
        # Somebody who sets up the provider needs to know what to look at.
        log.warning("The provider gives tokens that are not good here", extra={"reason": error.why or error.message})
        detail = "The provider's access token is not one for this server: look at its audience and signature."
        raise BadToken({"detail": detail}) from error


def answer_of(tokens: Tokens) -> dict[str, Any]:
    """As clients of the Oasis platform know it; without a refresh token that is empty."""
    return {
        "refresh_token": tokens.refresh,
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
    }
