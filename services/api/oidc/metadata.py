"""What a provider says of itself in its discovery document. No I/O. Source: OpenID Connect Discovery 1.0, section 3."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.api.oidc.addresses import is_address, is_same_issuer, reached
from services.api.oidc.settings import OidcSettings

_SCOPES = ("openid", "profile", "email")


class BadMetadata(Exception):
    """The discovery document is not that of the provider that the settings name."""


@dataclass(frozen=True)
class Metadata:
    """Addresses as this server reaches them; `authorization` and `end_session` are for browsers, as they are named."""

    issuer: str
    jwks: str
    token: str
    userinfo: str | None
    authorization: str | None
    end_session: str | None
    takes_form: bool
    """Whether a client may say who it is by fields of the form; else by Basic credentials, which every provider takes.

    Providers do not agree on how a secret with special characters is written in the latter.
    """
    scopes: tuple[str, ...]

    def scope(self, *more: str) -> str:
        """The scopes to ask for; those that the provider says it does not have are left out."""
        wanted = (*_SCOPES, *more)
        return " ".join(name for name in wanted if not self.scopes or name in self.scopes)


def read_metadata(document: Mapping[str, Any], settings: OidcSettings) -> Metadata:
    """Raises BadMetadata."""
    issuer = _address(document, "issuer")
    if not is_same_issuer(issuer, settings.issuer):
        raise BadMetadata(
            f"it names {issuer} as issuer, and the settings {settings.issuer}: "
            "if the provider calls itself so, set OASIS_SERVER_OIDC_ISSUER to it"
        )

    def own(name: str) -> str:
        return reached(_address(document, name), issuer, settings.endpoint)

    methods = _texts(document, "token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        jwks=own("jwks_uri"),
        token=own("token_endpoint"),
        userinfo=own("userinfo_endpoint") if document.get("userinfo_endpoint") else None,
        authorization=_optional(document, "authorization_endpoint"),
        end_session=_optional(document, "end_session_endpoint"),
        takes_form="client_secret_post" in methods,
        scopes=_texts(document, "scopes_supported"),
    )


def _optional(document: Mapping[str, Any], name: str) -> str | None:
    return _address(document, name) if document.get(name) else None


def _address(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not is_address(value):
        raise BadMetadata(f"it has no address as {name}")
    return value


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = document.get(name)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
