"""People log in at the provider by way of their browser: oasis_api.md section 1.1."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.oidc.handover import BadSeal, Expired, Purpose, seal, unseal
from services.api.oidc.returning import may_return
from shared.database.accounts import AuditEntry
from tests.api.api_client import Api
from tests.api.oidc.running_provider import PATIENCE, RunningProvider


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def value_of(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


def back_from_provider(api: Api, target: str = "/ui/?tab=1", root: str = "") -> str:
    """Begin a login, and say yes at the provider; where it leads the browser back to."""
    begun = api.get(f"{root}/oidc/authorize/", query_string={"next": target})
    assert begun.status_code == 302, begun.text
    answer = requests.get(begun.headers["Location"], allow_redirects=False, timeout=PATIENCE)
    assert answer.status_code == 302, answer.text
    return path_of(answer.headers["Location"])


@pytest.mark.parametrize("root", ["", "/api"])
def test_a_person_logs_in_by_browser_and_stays_logged_in(
    oidc_api: Api, issuing: RunningProvider, session: Session, root: str
) -> None:
    ended = oidc_api.get(back_from_provider(oidc_api, root=root))

    assert ended.status_code == 302
    location = ended.headers["Location"]
    assert location.startswith("/ui/?tab=1&session_token=")
    handed = {"session_token": value_of(location, "session_token")}
    tokens = oidc_api.post("/oidc/session_token/", handed).json or {}
    assert tokens["access_token"] not in location
    assert oidc_api.post("/oidc/session_token/", handed).json == {"detail": "Invalid session_token"}, "it is good once"

    refresh = {"Authorization": f"Bearer {tokens['refresh_token']}"}
    renewed = oidc_api.post("/refresh_token/", headers=refresh).json or {}
    again = oidc_api.post("/refresh_token/", headers=refresh)
    assert (again.status_code, again.json) == (401, {"detail": "Token is invalid", "code": "token_not_valid"})

    oidc_api.headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert oidc_api.create("portfolios/", {"name": "a"})["groups"] == ["deep/er", "team-a"]
    said = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).first()
    assert said is not None
    assert (said.username, said.action, said.resource) == ("bo", "log in", "accounts")


def test_a_user_interface_may_bring_the_code_itself(oidc_api: Api) -> None:
    back = back_from_provider(oidc_api)
    form = {"code": value_of(back, "code"), "redirect_uri": "http://localhost/oidc/callback/"}

    body = oidc_api.post("/oidc/callback/", data=form).json or {}

    assert set(body) == {"access_token", "token_type", "expires_in", "id_token", "refresh_token"}
    for wrong in (form, form | {"code": "wrong"}, {}):
        answer = oidc_api.post("/oidc/callback/", data=wrong)
        assert (answer.status_code, answer.json) == (401, {"Detail": "invalid authorization code"})


def test_a_login_leads_back_to_known_places_only(api_of: Callable[..., Api], issuing: RunningProvider) -> None:
    api = api_of(issuing, return_hosts=frozenset({"ui.example"}))
    for target in ("/", "/ui/?a=b", "https://ui.example/x", "http://localhost/"):
        assert api.get("/oidc/authorize/", query_string={"next": target}).status_code == 302, target
    for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "ui", "https://ui.example:8443/"):
        assert api.get("/oidc/authorize/", query_string={"next": target}).status_code == 400, target


@pytest.mark.parametrize(
    "target",
    [
        "/\\evil.example",
        "https:/\\evil.example",
        "http://ui.example@evil.example/",
        "/a\nb",
        "https://[",
        "/ü",
        "///e",
        "",
    ],
)
def test_addresses_that_look_like_ours_are_not_led_back_to(target: str) -> None:
    assert not may_return(target, "ours.example", {"ui.example"})


def test_a_login_ends_in_the_browser_that_began_it(oidc_api: Api) -> None:
    back = back_from_provider(oidc_api)

    assert Api(oidc_api.app).get(back).status_code == 400
    assert oidc_api.get(back.replace("state=", "state=x")).status_code == 400
    assert oidc_api.get(back.partition("&state")[0]).status_code == 400
    assert oidc_api.get(back).status_code == 302
    assert oidc_api.get(back).status_code == 400, "the login has ended"


def test_what_was_sealed_long_ago_or_for_something_else_is_refused() -> None:
    now = datetime.now(UTC)
    sealed = seal("key", Purpose.SESSION, {"a": "b"}, now)

    assert unseal("key", Purpose.SESSION, sealed, now + timedelta(seconds=59), 60) == {"a": "b"}
    with pytest.raises(Expired):
        unseal("key", Purpose.SESSION, sealed, now + timedelta(seconds=62), 60)
    for key, purpose, text in (
        ("other", Purpose.SESSION, sealed),
        ("key", Purpose.LOGIN, sealed),
        ("key", Purpose.SESSION, "ü"),
    ):
        with pytest.raises(BadSeal):
            unseal(key, purpose, text, now, 60)


def test_session_tokens_that_are_missing_or_made_up_are_told_so(oidc_api: Api) -> None:
    assert oidc_api.post("/oidc/session_token/", {}).json == {"detail": "Missing session_token"}
    assert oidc_api.post("/oidc/session_token/", {"session_token": "x"}).json == {"detail": "Invalid session_token"}


def test_a_logout_leads_to_the_provider(oidc_api: Api, issuing: RunningProvider) -> None:
    answer = oidc_api.get("/oidc/logout/?id_token_hint=abc")

    assert (answer.status_code, answer.headers["Location"]) == (302, f"{issuing.url}/logout?id_token_hint=abc")


def test_without_a_provider_there_is_no_such_login(api: Api) -> None:
    asked = [api.get("/oidc/authorize/"), api.get("/oidc/callback/"), api.get("/oidc/logout/")]
    asked += [api.post("/oidc/callback/", {"code": "a"}), api.post("/oidc/session_token/", {"session_token": "a"})]

    assert [answer.status_code for answer in asked] == [400] * 5
    assert asked[0].json == ["OIDC login flow is disabled on this server for api auth_type simple."]


@pytest.mark.parametrize(
    "value", ["\0", "\ud800", "x" * 10_000, "a\r\nSet-Cookie: b=c", "ｅｖｉｌ", "%00", "../..", "'"]
)
def test_values_that_are_meant_to_break_something_are_refused(oidc_api: Api, value: str) -> None:
    sent = value.encode("utf-8", "surrogatepass")
    asked = [
        oidc_api.get("/oidc/authorize/", query_string={"next": sent}),
        oidc_api.get("/oidc/callback/", query_string={"code": sent, "state": sent}),
        oidc_api.post("/oidc/callback/", {"code": value, "redirect_uri": value}),
        oidc_api.post("/oidc/session_token/", {"session_token": value}),
        oidc_api.post("/access_token/", {"client_id": value, "client_secret": value}),
        oidc_api.post("/access_token/", {"client_id": "oasis-service", "client_secret": value}),
    ]

    assert all(400 <= answer.status_code < 500 for answer in asked), [answer.text for answer in asked]
    assert oidc_api.get("/oidc/logout/", query_string={"id_token_hint": sent}).headers.get("Set-Cookie") is None


@pytest.mark.parametrize(
    "body", [[], 7, "a", {"code": 7}, {"session_token": {}}, {"client_id": [], "client_secret": 7}]
)
def test_bodies_of_other_shapes_are_refused(oidc_api: Api, body: object) -> None:
    paths = ("/oidc/callback/", "/oidc/session_token/", "/access_token/")

    assert all(400 <= oidc_api.post(path, body).status_code < 500 for path in paths)
