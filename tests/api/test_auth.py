"""Tokens, Basic credentials, and who may do what: oasis_api.md sections 0 and 1.1."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from services.api.auth.accounts import ensure_administrator
from services.api.settings import Administrator, AuthSettings
from shared.database.resources import User
from shared.passwords import verify_password
from tests.api.api_client import Api

CREDENTIALS = {"username": "admin", "password": "password"}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_login_gives_two_tokens(api: Api) -> None:
    body = api.post("/access_token/", CREDENTIALS).json

    assert body is not None
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600.0)


def test_a_login_may_be_a_form(api: Api) -> None:
    assert api.post("/api/access_token/", data=CREDENTIALS).status_code == 200


def test_a_login_with_an_old_token_in_its_header_is_served(api: Api) -> None:
    assert api.post("/access_token/", CREDENTIALS, headers=_bearer("rubbish")).status_code == 200


def test_wrong_credentials_are_401(api: Api) -> None:
    for body in (CREDENTIALS | {"password": "other"}, CREDENTIALS | {"username": "nobody"}):
        answer = api.post("/access_token/", body)

        assert answer.status_code == 401
        assert answer.json == {"detail": "No active account found with the given credentials"}
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_logins_of_other_kinds_are_told_so(api: Api) -> None:
    nothing = api.post("/access_token/", {"username": "admin"})
    client = api.post("/access_token/", CREDENTIALS | {"client_id": "a", "client_secret": "b"})

    assert nothing.status_code == client.status_code == 400
    assert nothing.json == [
        'ERROR: Can only call access_token with "username AND password" or "client_id AND client_secret"'
    ]
    assert client.json == ["OIDC client credentials flow is disabled on this server for api auth_type simple."]


def test_a_request_without_credentials_is_403(api: Api) -> None:
    api.headers = {}
    answer = api.get("models/")

    assert (answer.status_code, answer.json) == (403, {"detail": "Authentication credentials were not provided."})
    assert api.get("/server_info/").status_code == 403


def test_a_bad_token_is_403_with_the_reason(api: Api) -> None:
    answer = api.get("models/", headers=_bearer("rubbish"))

    assert answer.status_code == 403
    assert answer.json == {
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": "Token is invalid"}],
    }


def test_an_expired_token_is_403_with_the_reason(api: Api, api_with: Callable[..., Api]) -> None:
    short = AuthSettings(signing_key="a key of the tests", access_lifetime=timedelta(seconds=-1))
    token = api_with(auth=short).post("/access_token/", CREDENTIALS).json

    assert token is not None
    answer = api.get("models/", headers=_bearer(token["access_token"]))
    assert answer.status_code == 403
    assert answer.json is not None
    assert answer.json["messages"][0]["message"] == "Token is expired"


def test_a_refresh_token_opens_nothing(api: Api) -> None:
    tokens = api.post("/access_token/", CREDENTIALS).json

    assert tokens is not None
    assert api.get("models/", headers=_bearer(tokens["refresh_token"])).status_code == 403


def test_basic_credentials_open_every_path(api: Api) -> None:
    api.headers = {"Authorization": "Basic " + b64encode(b"admin:password").decode()}
    assert api.get("models/").status_code == 200

    api.headers = {"Authorization": "Basic " + b64encode(b"admin:wrong").decode()}
    assert api.get("models/").json == {"detail": "Invalid username/password."}


def test_a_refresh_token_works_once(api: Api) -> None:
    first = api.post("/access_token/", CREDENTIALS).json
    assert first is not None

    second = api.post("/refresh_token/", headers=_bearer(first["refresh_token"]))
    assert second.status_code == 200
    assert second.json is not None
    assert set(second.json) == {"access_token", "refresh_token", "token_type", "expires_in"}

    again = api.post("/refresh_token/", headers=_bearer(first["refresh_token"]))
    assert (again.status_code, again.json) == (401, {"detail": "Token is blacklisted", "code": "token_not_valid"})
    assert api.post("/refresh_token/", headers=_bearer(second.json["refresh_token"])).status_code == 200


def test_without_rotation_a_refresh_token_stays_good(api_with: Callable[..., Api]) -> None:
    api = api_with(auth=AuthSettings(signing_key="k", rotate_refresh=False))
    tokens = api.post("/access_token/", CREDENTIALS).json
    assert tokens is not None

    for _ in range(2):
        answer = api.post("/refresh_token/", headers=_bearer(tokens["refresh_token"]))
        assert answer.json is not None
        assert answer.json["refresh_token"] == tokens["refresh_token"]


def test_bad_refresh_tokens_are_401(api: Api, api_with: Callable[..., Api]) -> None:
    short = api_with(auth=AuthSettings(signing_key="a key of the tests", refresh_lifetime=timedelta(seconds=-1)))
    expired = short.post("/access_token/", CREDENTIALS).json
    assert expired is not None
    texts = {"rubbish": "Token is invalid", expired["refresh_token"]: "Token is expired"}

    for token, text in texts.items():
        answer = api.post("/refresh_token/", headers=_bearer(token))
        assert (answer.status_code, answer.json) == (401, {"detail": text, "code": "token_not_valid"})


def test_a_refresh_without_a_header_is_refused(api: Api) -> None:
    api.headers = {}
    answer = api.post("/refresh_token/")

    assert (answer.status_code, answer.json) == (400, {"Detail": ["header 'authorization' must not be null"]})


def test_an_account_that_is_switched_off_can_do_nothing(api: Api, user_api: Api, session: Session) -> None:
    session.execute(update(User).where(User.username == "user").values(is_active=False))
    session.commit()

    assert user_api.get("models/").json == {"detail": "User is inactive", "code": "user_inactive"}
    assert api.post("/access_token/", {"username": "user", "password": "secret"}).status_code == 401


def test_task_statuses_are_for_staff(api: Api, user_api: Api) -> None:
    answer = user_api.get("analysis-task-statuses/")

    assert answer.status_code == 403
    assert answer.json == {"detail": "You do not have permission to perform this action."}
    assert api.get("analysis-task-statuses/").status_code == 200


def test_without_authentication_everybody_is_the_administrator(api_with: Callable[..., Api]) -> None:
    api = api_with(auth=AuthSettings(kind="disabled"))
    login = api.post("/access_token/", CREDENTIALS)
    info = api.get("/server_info/").json

    assert api.get("analysis-task-statuses/").status_code == 200
    assert login.json == ["Simple JWT username/password flow is disabled on this server for api auth_type disabled."]
    assert info is not None
    assert info["config"]["API_AUTH_TYPE"] == "disabled"


def test_the_server_says_what_it_is_but_no_secrets(api: Api) -> None:
    body = api.get("/server_info/")

    assert body.json is not None
    assert set(body.json) == {"version", "config", "components"}
    assert body.json["config"]["API_AUTH_TYPE"] == "simple_jwt"
    assert body.json["config"]["ACCESS_TOKEN_LIFETIME"] == "3600.0"
    assert set(body.json["components"]) == {"ods_version", "oed_version"}
    assert "a key of the tests" not in body.text


def test_the_administrator_is_made_and_brought_up_to_date(session: Session) -> None:
    for password in ("first", "second"):
        ensure_administrator(session, AuthSettings(administrator=Administrator("root", password)))
        user = session.query(User).filter_by(username="root").one()
        assert verify_password(user.password_hash, password)
        assert user.is_superuser


def test_disabled_authentication_makes_an_owner_where_there_is_none(session: Session) -> None:
    ensure_administrator(session, AuthSettings(kind="disabled"))

    assert [user.username for user in session.query(User).filter_by(is_superuser=True)] == ["admin"]


def test_connections_are_checked(api: Api, api_with: Callable[..., Api]) -> None:
    def refuse() -> None:
        raise ConnectionError("no broker")

    broken = api_with(check_broker=refuse).get("/healthcheck_connections/")

    assert api.get("/healthcheck_connections/").json == {"status": "OK"}
    assert (broken.status_code, broken.json) == (503, {"status": "ERROR - celery v2 down"})


def test_peril_codes_are_told_to_everybody(api: Api) -> None:
    api.headers = {}
    body = api.get("/oed_peril_codes/").json

    assert body is not None
    assert body["peril_codes"]["WSS"] == {"desc": "Storm Surge from strong wind"}
    assert "WTC" in body["peril_groups"]["WW1"]["peril_ids"]
