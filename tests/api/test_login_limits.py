"""Guessing passwords is slow, whichever process of the API is asked."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.api.auth.limits import LoginLimits, must_wait
from services.api.settings import ApiSettings, AuthSettings
from shared.database.accounts import LoginAttempt
from tests.api.api_client import Api

LIMITS = LoginLimits(failures=3, window=timedelta(minutes=5))
WRONG = {"username": "user", "password": "wrong"}
RIGHT = {"username": "user", "password": "secret"}


@pytest.fixture
def auth(settings: ApiSettings) -> AuthSettings:
    return replace(settings.auth, login_limits=LIMITS)


@pytest.fixture
def limited(api_with: Callable[..., Api], auth: AuthSettings) -> Api:
    return api_with(auth=auth)


def _fail(api: Api, times: int, **body: str) -> None:
    for _ in range(times):
        assert api.post("/access_token/", WRONG | body).status_code == 401


def test_after_too_many_failures_even_the_right_password_must_wait(limited: Api, api: Api) -> None:
    _fail(limited, 3)

    answer = limited.post("/access_token/", RIGHT)

    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert answer.json == {
        "detail": f"Request was throttled. Expected available in {answer.headers['Retry-After']} seconds."
    }
    # Whoever is logged in already goes on, and so does everybody else.
    assert api.get("models/").status_code == 200
    assert limited.post("/access_token/", {"username": "admin", "password": "password"}).status_code == 200


def test_all_processes_count_together(limited: Api, auth: AuthSettings, api_with: Callable[..., Api]) -> None:
    other = api_with(auth=auth)
    _fail(limited, 2)
    _fail(other, 1)

    assert limited.post("/access_token/", RIGHT).status_code == other.post("/access_token/", RIGHT).status_code == 429


def test_basic_credentials_count_as_well(limited: Api) -> None:
    limited.headers = {"Authorization": "Basic " + b64encode(b"user:wrong").decode()}
    for _ in range(3):
        assert limited.get("models/").status_code == 403

    limited.headers = {"Authorization": "Basic " + b64encode(b"user:secret").decode()}
    assert limited.get("models/").status_code == 429


def test_a_success_forgets_the_failures(limited: Api) -> None:
    for _ in range(3):
        _fail(limited, 2)
        assert limited.post("/access_token/", RIGHT).status_code == 200


def test_failures_count_for_a_while_only(limited: Api, session: Session) -> None:
    _fail(limited, 3)
    session.execute(update(LoginAttempt).values(at=LoginAttempt.at - timedelta(minutes=6)))
    session.commit()

    assert limited.post("/access_token/", RIGHT).status_code == 200
    _fail(limited, 1, username="nobody")
    assert [each.username for each in session.scalars(select(LoginAttempt))] == ["nobody"]


def test_another_address_may_still_log_in(api_with: Callable[..., Api], auth: AuthSettings) -> None:
    proxied = api_with(auth=auth, proxies=1)
    _fail(proxied, 3)

    elsewhere = proxied.post("/access_token/", RIGHT, headers={"X-Forwarded-For": "192.0.2.7"})
    assert elsewhere.status_code == 200


def test_without_a_proxy_nobody_can_claim_another_address(limited: Api) -> None:
    for number in range(3):
        answer = limited.post("/access_token/", WRONG, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        assert answer.status_code == 401

    assert limited.post("/access_token/", RIGHT, headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 429


@pytest.mark.parametrize(
    ("here", "anywhere", "of_address", "waits"),
    [(2, 2, 2, False), (3, 3, 3, True), (0, 29, 0, False), (0, 30, 0, True), (0, 0, 29, False), (0, 0, 30, True)],
)
def test_the_limits(here: int, anywhere: int, of_address: int, waits: bool) -> None:
    assert must_wait(LIMITS, here, anywhere, of_address) is waits
    assert not must_wait(LoginLimits(failures=0), here, anywhere, of_address)
