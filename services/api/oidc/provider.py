"""The provider that the settings name: who comes with a token of it, and new tokens."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from jwt import PyJWK

from services.api.auth.tokens import InvalidToken
from services.api.errors import ProviderDown
from services.api.oidc.addresses import KEYCLOAK, WELL_KNOWN
from services.api.oidc.grants import Client, Tokens, ask_for_tokens
from services.api.oidc.identity import Identity, identity_of
from services.api.oidc.kept import Kept, Pace
from services.api.oidc.metadata import BadMetadata, Metadata, read_metadata
from services.api.oidc.remembered import Remembered
from services.api.oidc.settings import OidcSettings
from services.api.oidc.verification import Expected, UnknownKey, choose_key, read_keys, verify
from services.api.oidc.wire import Wire

More = tuple[Mapping[str, Any], datetime | None]
"""Claims that userinfo adds to those of a token, and when it did."""

_LONGEST_TOKEN = 16 * 1024


class Provider:
    """May be used in any thread. Connects to nobody until it is needed: a server starts while its provider is down."""

    def __init__(
        self, settings: OidcSettings, pace: Pace | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self._wire = Wire()
        self._metadata = Kept(self._fetch_metadata, pace or Pace(), clock)
        self._keys = Kept(self._fetch_keys, pace or Pace(), clock)
        self._userinfo: Remembered[More] = Remembered(clock)
        self._own = Client(settings.client, settings.secret)

    @property
    def metadata(self) -> Metadata:
        """What the provider says of itself. Raises ProviderDown."""
        return self._metadata.get()

    def check(self) -> None:
        """Raises ProviderDown where it does not answer."""
        self._metadata.renew()

    def identify(self, token: str) -> Identity:
        """Who has this access token. Raises InvalidToken, ProviderDown."""
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise InvalidToken
        claims = verify(token, self._key_of(token), self._expected())
        if "groups" in claims:
            return identity_of(token, claims)
        more, as_of = self._more_of(token, str(claims["sub"]))
        return identity_of(token, {**claims, **more}, as_of)

    def log_in_client(self, name: str, secret: str) -> Tokens:
        """Tokens for a service. Raises GrantRefused, ProviderDown."""
        return self._ask(Client(name, secret), {"grant_type": "client_credentials", "scope": self.metadata.scope()})

    def refresh(self, token: str) -> Tokens:
        """Tokens for a refresh token of this server's client. Raises GrantRefused, ProviderDown."""
        return self._ask(self._own, {"grant_type": "refresh_token", "refresh_token": token})

    def redeem(self, code: str, redirect_uri: str) -> Tokens:
        """Tokens for the code of a login. Raises GrantRefused, ProviderDown."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self._ask(self._own, form)

    def close(self) -> None:
        """Close its connections."""
        self._wire.close()

    def _ask(self, client: Client, form: Mapping[str, str]) -> Tokens:
        return ask_for_tokens(self._wire, self.metadata, client, form)

    def _expected(self) -> Expected:
        settings = self.settings
        counts = settings.kind == KEYCLOAK
        return Expected(self.metadata.issuer, settings.audiences, settings.leeway, party_counts=counts)

    def _key_of(self, token: str) -> PyJWK:
        keys = self._keys.get()
        try:
            return choose_key(token, keys)
        except UnknownKey:
            return choose_key(token, self._keys.renew(keys))

    def _more_of(self, token: str, subject: str) -> More:
        """What the provider tells of the owner where the token itself does not: the reference always asks so."""
        url = self.metadata.userinfo
        return ({}, None) if url is None else self._userinfo.of(token, lambda: self._ask_for_more(url, token, subject))

    def _ask_for_more(self, url: str, token: str, subject: str) -> More:
        answer = self._wire.get(url, {"Authorization": f"Bearer {token}"})
        if answer.status == 403:
            # A service's token may lack the scope for it, and then has no groups.
            return {}, None
        if answer.status != 200 or answer.body.get("sub") != subject:
            raise InvalidToken(why=f"userinfo answers it with status {answer.status}")
        kept = ("groups", "preferred_username", "is_service_account")
        return {name: answer.body[name] for name in kept if name in answer.body}, datetime.now(UTC)

    def _fetch_metadata(self) -> Metadata:
        url = self.settings.endpoint + WELL_KNOWN
        answer = self._wire.get(url)
        if answer.status != 200:
            raise ProviderDown(f"the discovery document at {url} is answered with status {answer.status}")
        try:
            return read_metadata(answer.body, self.settings)
        except BadMetadata as error:
            raise ProviderDown(f"the discovery document at {url} cannot be used: {error}") from error

    def _fetch_keys(self) -> tuple[PyJWK, ...]:
        url = self.metadata.jwks
        answer = self._wire.get(url)
        keys = read_keys(answer.body)
        if answer.status != 200 or not keys:
            raise ProviderDown(f"there are no keys at {url}: status {answer.status}")
        return keys


def open_provider(settings: OidcSettings | None, resources: ExitStack) -> Provider | None:
    """The provider, where the settings name one; closed with the resources."""
    if settings is None:
        return None
    provider = Provider(settings)
    resources.callback(provider.close)
    return provider
