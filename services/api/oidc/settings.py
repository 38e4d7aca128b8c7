"""The settings of an OpenID Connect provider. Source: oasis_api.md section 7.1."""

from dataclasses import dataclass, field

from services.api.oidc.addresses import GENERIC, PROVIDERS, is_address, issuer_of
from shared.settings import BadSetting, Options


@dataclass(frozen=True)
class OidcSettings:
    """`kind` is the name of the provider. Durations in seconds."""

    kind: str
    endpoint: str
    """Where this server reaches the issuer, without a slash at its end."""
    issuer: str
    """What the issuer calls itself."""
    client: str
    secret: str = field(repr=False)
    audiences: frozenset[str]
    """Tokens are good here that are meant for one of these."""
    leeway: float = 30.0
    """How far the clocks of provider and server may be apart."""
    return_hosts: frozenset[str] = frozenset()
    """Hosts of user interfaces that a login may lead back to, besides the API's own."""


def auth_kind(options: Options) -> str:
    """`simple`, `disabled`, or the name of a provider. Raises BadSetting."""
    kind = options.text("API_AUTH_TYPE", "simple").strip().lower()
    allowed = _names(options.text("ALLOWED_OIDC_AUTH_PROVIDERS", "").lower())
    if kind not in ("simple", "disabled", *(allowed or PROVIDERS)):
        wanted = f"simple, disabled, or an OpenID Connect provider: {', '.join(sorted(allowed or PROVIDERS))}"
        raise BadSetting("OASIS_API_AUTH_TYPE", kind, wanted)
    return kind


def read_oidc(options: Options, kind: str) -> OidcSettings | None:
    """The provider, where the kind names one. Raises BadSetting."""
    if kind in ("simple", "disabled"):
        return None
    client = _required(options, "OIDC_CLIENT_NAME", "the client that stands for this server at the provider")
    address = _required(options, "OIDC_ENDPOINT", "the address of the issuer")
    endpoint = _address("OIDC_ENDPOINT", issuer_of(kind if kind in PROVIDERS else GENERIC, address, client))
    secret = options.secret("OIDC_CLIENT_SECRET")
    if not secret:
        raise BadSetting("OASIS_SERVER_OIDC_CLIENT_SECRET", "", "the secret of the client")
    return OidcSettings(
        kind=kind,
        endpoint=endpoint,
        issuer=_address("OIDC_ISSUER", options.text("OIDC_ISSUER", endpoint)),
        client=client,
        secret=secret,
        audiences=_audiences(options, client),
        leeway=options.seconds("OIDC_LEEWAY", OidcSettings.leeway),
        return_hosts=_names(options.text("OIDC_RETURN_HOSTS", "").lower()),
    )


def _audiences(options: Options, client: str) -> frozenset[str]:
    """Those that are set; else the server's own client, and the one of the worker controller, if it is named here."""
    named = _names(options.text("OIDC_AUDIENCE", ""))
    return named or _names(f"{client},{options.text('SERVICE_USERNAME_OR_ID', '')}")


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def _required(options: Options, name: str, wanted: str) -> str:
    text = options.text(name, "").strip()
    if not text:
        raise BadSetting(f"OASIS_SERVER_{name}", "", wanted)
    return text


def _address(name: str, url: str) -> str:
    if not is_address(url):
        raise BadSetting(f"OASIS_SERVER_{name}", url, "an address that begins with https:// or http://")
    return url
