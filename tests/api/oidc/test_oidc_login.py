"""Services log in with the secret of a client at the provider: oasis_api.md section 1.1."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.resources import User
from tests.api.api_client import Api
from tests.api.oidc.running_provider import RunningProvider

SERVICE = {"client_id": "oasis-service", "client_secret": "serviceNotSoSecret"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_service_logs_in_with_client_credentials_and_administers(oidc_api: Api, session: Session) -> None:
    for way in ({"json": SERVICE}, {"data": SERVICE}):
        answer = oidc_api.post("/access_token/", **way)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text

    body = answer.json or {}
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], float)
    oidc_api.headers = bearer(body["access_token"])
    assert oidc_api.get("workers/").status_code == 200
    user = session.scalars(select(User).where(User.subject == "oasis-service")).one()
    assert (user.username, user.is_service, user.is_superuser) == ("svc-oasis-service", True, True)
    assert [each["user"] for each in oidc_api.get("audit/").json or []] == ["svc-oasis-service"] * 2


def test_wrong_secrets_are_401_and_too_many_of_them_429(oidc_api: Api) -> None:
    wrong = SERVICE | {"client_secret": "wrong"}

    statuses = [oidc_api.post("/access_token/", wrong).status_code for _ in range(12)]

    assert statuses == [401] * 10 + [429] * 2


def test_passwords_are_told_to_go_elsewhere(oidc_api: Api) -> None:
    answer = oidc_api.post("/access_token/", {"username": "admin", "password": "password"})

    assert answer.status_code == 400
    assert answer.json == ["Simple JWT username/password flow is disabled on this server for api auth_type keycloak."]
    oidc_api.headers = {"Authorization": "Basic YWRtaW46cGFzc3dvcmQ="}
    assert oidc_api.get("models/").status_code == 403


def test_a_client_whose_tokens_are_for_others_is_told_what_to_look_at(oidc_api: Api) -> None:
    answer = oidc_api.post("/access_token/", {"client_id": "stranger", "client_secret": "stranger"})

    assert answer.status_code == 401
    assert "audience" in (answer.json or {})["detail"]


def test_the_server_says_which_provider_it_trusts(oidc_api: Api, issuing: RunningProvider) -> None:
    oidc_api.headers = bearer(issuing.token())
    config = (oidc_api.get("/server_info/").json or {})["config"]

    assert config["API_AUTH_TYPE"] == "keycloak"
    assert config["OIDC_OP_TOKEN_ENDPOINT"] == f"{issuing.url}/token"
    assert SERVICE["client_secret"] not in str(config)
