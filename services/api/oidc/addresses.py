"""Where a provider is, from the settings of the Oasis platform. No I/O. Source: oasis_api.md section 7.1.

The reference puts `token`, `userinfo` and so on behind OIDC_ENDPOINT, in a way of its own for each provider; here they
are found by discovery, which begins at the issuer.
"""

from urllib.parse import urlsplit

KEYCLOAK = "keycloak"
AUTHENTIK = "authentik"
GENERIC = "oidc"
PROVIDERS = (KEYCLOAK, AUTHENTIK, GENERIC)

WELL_KNOWN = "/.well-known/openid-configuration"

_KEYCLOAK_PROTOCOL = "/protocol/openid-connect"
_AUTHENTIK_APPLICATIONS = "/application/o"


def issuer_of(kind: str, endpoint: str, client: str) -> str:
    """The issuer that the endpoint stands for, without a slash at its end.

    Keycloak: `…/realms/{realm}/protocol/openid-connect/`; Authentik: `…/application/o/`, where the application is named
    like the client, or the whole address of one; all of them: the issuer itself, or its discovery document.
    """
    plain = endpoint.strip().rstrip("/").removesuffix(WELL_KNOWN)
    if kind == KEYCLOAK:
        return plain.removesuffix(_KEYCLOAK_PROTOCOL)
    if kind == AUTHENTIK and plain.endswith(_AUTHENTIK_APPLICATIONS):
        return f"{plain}/{client}"
    return plain


def is_same_issuer(first: str, second: str) -> bool:
    """Whether these are one issuer; some end in a slash and some do not."""
    return first.rstrip("/") == second.rstrip("/")


def reached(url: str, issuer: str, endpoint: str) -> str:
    """The address by which this server reaches what the provider names, which may say how browsers reach it."""
    public, own = urlsplit(issuer), urlsplit(endpoint)
    named = urlsplit(url)
    if (named.scheme, named.netloc) != (public.scheme, public.netloc):
        return url
    return named._replace(scheme=own.scheme, netloc=own.netloc).geturl()


def is_address(url: str) -> bool:
    """Whether this is the address of a server."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
