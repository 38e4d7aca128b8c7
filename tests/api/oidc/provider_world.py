"""Who the provider of the tests knows, and what it signs with."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from joserfc.jwk import ECKey, KeySet, RSAKey


@dataclass(frozen=True)
class User:
    sub: str
    name: str
    groups: tuple[str, ...] = ()
    says: str = ""
    """Whom userinfo takes it for, where that is somebody else."""

    def get_user_id(self) -> str:
        return self.sub


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    name: str
    secret: str
    is_service: bool = False

    def get_client_id(self) -> str:
        return self.name

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.endswith("/oidc/callback/")

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return self.is_service or grant_type != "client_credentials"


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    code: str
    client_id: str
    sub: str
    redirect_uri: str
    scope: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(frozen=True)
class Refresh(TokenMixin):  # type: ignore[misc]
    token: str
    client_id: str
    sub: str

    def check_client(self, client: Client) -> bool:
        return client.name == self.client_id

    def get_scope(self) -> str:
        return "openid profile"

    def get_expires_in(self) -> int:
        return 3600

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return False


USERS = {
    each.sub: each
    for each in (
        User("sub-ada", "ada", ("/admin",)),
        User("sub-bo", "bo", ("/team-a", "/deep/er")),
        User("sub-cy", "cy", ("/team-b",)),
        User("sub-dee", "dee", ("/team-a",)),
        User("sub-liar", "liar", ("/admin",), says="sub-ada"),
    )
}
CLIENTS = {
    each.name: each
    for each in (
        Client("lossline", "the client's secret: %&+"),
        Client("oasis-service", "serviceNotSoSecret", is_service=True),
        Client("stranger", "stranger", is_service=True),
    )
}


def claims_of(client: Client, user: User | None) -> dict[str, Any]:
    """What Keycloak adds with the mappers that the platform's realm has."""
    if user is None:
        return {"azp": client.name, "is_service_account": True, "groups": []}
    return {"azp": client.name, "preferred_username": user.name, "groups": list(user.groups)}


@dataclass
class Keys:
    """One key for each algorithm; those before are not published any more."""

    current: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        rsa = RSAKey.generate_key(2048, parameters={"kid": uuid4().hex, "use": "sig", "alg": "RS256"})
        ec = ECKey.generate_key("P-256", parameters={"kid": uuid4().hex, "use": "sig"})
        self.current = {"RS256": rsa, "ES256": ec}

    def private(self, algorithm: str) -> Any:
        return KeySet([self.current[algorithm]])

    def all_public(self) -> Any:
        return KeySet(list(self.current.values()))

    def public(self) -> dict[str, Any]:
        published: list[Any] = [key.as_dict(private=False) for key in self.current.values()]
        # Keycloak publishes keys for encryption too; others, what nobody knows.
        return {"keys": [*published, {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "unheard-of"}]}
