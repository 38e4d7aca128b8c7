"""The client of the HTTP API: logged in once, renewed in time and when refused, and clear about what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from services.worker_controller.api_client import ApiClient
from services.worker_controller.errors import ApiError, LoginRefused
from tests.worker_controller.http_api import HttpApi


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[HttpApi]:
    with HttpApi().serving() as serving:
        yield serving


@pytest.fixture
def client(server: HttpApi, clock: Clock) -> Iterator[ApiClient]:
    with closing(ApiClient(server.url, {"username": "admin", "password": "a&b"}, clock)) as opened:
        yield opened


def test_one_login_serves_many_requests_until_its_token_is_nearly_old(
    client: ApiClient, server: HttpApi, clock: Clock
) -> None:
    for _ in range(3):
        assert client.get("workers/") == ["answer"]
    assert server.logins == [{"username": ["admin"], "password": ["a&b"]}]
    clock.now = 0.95 * server.life
    assert client.get("workers/") == ["answer"]
    assert len(server.logins) == 2


def test_a_token_that_is_refused_is_renewed_once(client: ApiClient, server: HttpApi) -> None:
    client.get("workers/")
    server.logins.append({})  # somebody else has logged in: ours counts no more
    assert client.get("workers/") == ["answer"]
    server.status = 403
    with pytest.raises(ApiError, match="status 403"):
        client.get("workers/")


def test_a_login_that_is_refused_is_not_tried_again_at_once(client: ApiClient, server: HttpApi, clock: Clock) -> None:
    server.login_status = 401
    with pytest.raises(LoginRefused, match="status 401"):
        client.get("workers/")
    server.login_status = 200
    with pytest.raises(LoginRefused, match="the next try comes after 30 s"):
        client.get("workers/")
    assert server.logins == []
    clock.now += 30
    assert client.get("workers/") == ["answer"]


def test_an_api_that_is_not_well_is_told_from_a_login_that_is_refused(client: ApiClient, server: HttpApi) -> None:
    server.login_status = 503
    with pytest.raises(ApiError, match="status 503") as raised:
        client.get("workers/")
    assert not isinstance(raised.value, LoginRefused)


@pytest.mark.parametrize(("status", "body", "says"), [(500, b"", "status 500"), (200, b"<html>", "no JSON")])
def test_an_answer_that_is_not_as_agreed_is_an_error(
    client: ApiClient, server: HttpApi, status: int, body: bytes, says: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(ApiError, match=says):
        client.get("workers/")


def test_an_api_that_is_not_there_is_an_error() -> None:
    with closing(ApiClient("http://127.0.0.1:9/", {})) as client, pytest.raises(ApiError, match="does not answer"):
        client.get("workers/")
