"""The settings of a provider, and the addresses that they stand for: oasis_api.md section 7.1."""

import pytest

from services.api.oidc.addresses import issuer_of
from services.api.oidc.metadata import BadMetadata, read_metadata
from services.api.oidc.settings import OidcSettings
from services.api.settings import ApiSettings, InsecureSettings
from shared.settings import BadSetting

REALM = "https://login.example/auth/realms/oasis"
ENVIRON = {
    "OASIS_SERVER_API_AUTH_TYPE": "keycloak",
    "OASIS_SERVER_OIDC_ENDPOINT": f"{REALM}/protocol/openid-connect/",
    "OASIS_SERVER_OIDC_CLIENT_NAME": "oasis-server",
    "OASIS_SERVER_OIDC_CLIENT_SECRET": "a secret",
    "OASIS_SERVER_SECRET_KEY": "a key",
    "OASIS_SERVICE_USERNAME_OR_ID": "oasis-service",
    "OASIS_SERVICE_PASSWORD_OR_SECRET": "another secret",
}


def oidc_of(**changes: str) -> OidcSettings:
    found = ApiSettings.from_environ({**ENVIRON, **changes}).auth.oidc
    assert found is not None
    return found


def document(issuer: str = REALM, **changes: object) -> dict[str, object]:
    names = {"jwks_uri": "certs", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
    names |= {"authorization_endpoint": "auth", "end_session_endpoint": "logout"}
    return {"issuer": issuer, **{name: f"{issuer.rstrip('/')}/{path}" for name, path in names.items()}, **changes}


@pytest.mark.parametrize(
    ("kind", "endpoint", "issuer"),
    [
        ("keycloak", f"{REALM}/protocol/openid-connect/", REALM),
        ("keycloak", REALM, REALM),
        ("authentik", "https://id.example/application/o/", "https://id.example/application/o/oasis-server"),
        ("authentik", "https://id.example/application/o/oasis/", "https://id.example/application/o/oasis"),
        ("oidc", "https://id.example/.well-known/openid-configuration", "https://id.example"),
        ("oidc", "https://id.example/tenant/", "https://id.example/tenant"),
    ],
)
def test_the_endpoint_of_the_reference_leads_to_the_issuer(kind: str, endpoint: str, issuer: str) -> None:
    assert issuer_of(kind, endpoint, "oasis-server") == issuer


def test_what_stands_in_a_chart_of_the_platform_is_enough() -> None:
    auth = ApiSettings.from_environ(ENVIRON).auth

    assert auth.oidc is not None
    assert auth.administrator is None
    assert (auth.oidc.kind, auth.oidc.endpoint, auth.oidc.issuer) == ("keycloak", REALM, REALM)
    assert auth.oidc.audiences == {"oasis-server", "oasis-service"}
    assert "secret" not in repr(auth).replace("secret=", "")
    assert oidc_of(OASIS_SERVER_OIDC_AUDIENCE="one, two").audiences == {"one", "two"}


def test_other_providers_go_by_the_names_that_are_allowed() -> None:
    names = {"OASIS_SERVER_ALLOWED_OIDC_AUTH_PROVIDERS": "keycloak,okta", "OASIS_SERVER_API_AUTH_TYPE": "okta"}

    assert oidc_of(**names).kind == "okta"
    with pytest.raises(BadSetting, match="keycloak, okta"):
        oidc_of(**{**names, "OASIS_SERVER_API_AUTH_TYPE": "authentik"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_ENDPOINT", ""),
        ("OIDC_ENDPOINT", "login.example/realms/oasis"),
        ("OIDC_ENDPOINT", "https://user:pass@login.example/"),
        ("OIDC_ISSUER", "file:///etc/passwd"),
        ("OIDC_CLIENT_NAME", ""),
        ("OIDC_CLIENT_SECRET", ""),
        ("OIDC_LEEWAY", "-1"),
        ("SECRET_KEY", ""),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"OASIS_SERVER_{name}"):
        oidc_of(**{f"OASIS_SERVER_{name}": value})


def test_a_client_with_a_secret_that_everybody_knows_is_refused_where_others_reach_the_api() -> None:
    known = {**ENVIRON, "OASIS_SERVER_OIDC_CLIENT_SECRET": "changeme"}

    assert ApiSettings.from_environ(known).auth.oidc is not None
    with pytest.raises(InsecureSettings, match="OASIS_SERVER_OIDC_CLIENT_SECRET"):
        ApiSettings.from_environ({**known, "OASIS_API_HOST": "0.0.0.0"})  # noqa: S104


def test_the_server_asks_where_it_reaches_the_provider_and_browsers_where_they_do() -> None:
    inside = oidc_of(
        OASIS_SERVER_OIDC_ENDPOINT="http://keycloak:8080/auth/realms/oasis", OASIS_SERVER_OIDC_ISSUER=REALM
    )

    metadata = read_metadata(document(), inside)

    assert metadata.token == "http://keycloak:8080/auth/realms/oasis/token"
    assert metadata.jwks == "http://keycloak:8080/auth/realms/oasis/certs"
    assert (metadata.authorization, metadata.issuer) == (f"{REALM}/auth", REALM)


def test_a_slash_at_the_end_of_the_issuer_is_its_own_affair() -> None:
    assert read_metadata(document(f"{REALM}/"), oidc_of()).issuer == f"{REALM}/"


@pytest.mark.parametrize(
    "wrong",
    [
        document("https://elsewhere.example"),
        document(jwks_uri="file:///etc/passwd"),
        document(token_endpoint=None),
        {**document(), "issuer": 7},
        {},
    ],
)
def test_discovery_documents_of_others_are_not_taken(wrong: dict[str, object]) -> None:
    with pytest.raises(BadMetadata):
        read_metadata(wrong, oidc_of())


def test_only_scopes_that_there_are_are_asked_for() -> None:
    asked = read_metadata(document(scopes_supported=["openid", "profile", "offline_access"]), oidc_of())

    assert asked.scope("offline_access") == "openid profile offline_access"
    assert read_metadata(document(), oidc_of()).scope() == "openid profile email"
