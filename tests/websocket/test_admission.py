"""Who is let in."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from services.api.auth import tokens
from services.api.settings import AuthSettings
from services.api.websocket.admission import Place, place_of
from tests.websocket.serving import QUEUE_STATUS, Serving, heard

pytestmark = pytest.mark.integration


async def refused(serving: Serving, authorization: str, path: str = QUEUE_STATUS) -> tuple[int, Any]:
    """The status and the body of a refused handshake."""
    with pytest.raises(InvalidStatus) as caught:
        async with serving.client(path, authorization):
            raise AssertionError("it was let in")
    response = caught.value.response
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, json.loads(response.body)


async def test_tokens_of_others_and_of_other_times_are_refused(
    serving_now: Serving, token: Callable[..., str], users: dict[str, int]
) -> None:
    unsigned = jwt.encode({"token_type": "access", "user_id": "1", "jti": "x", "exp": 2**33}, "", algorithm="none")
    messages = {
        token(age=2.0): "Token is expired",
        token(key="another key"): "Token is invalid",
        token(kind=tokens.REFRESH): "Token has wrong type",
        unsigned: "Token is invalid",
        "nonsense": "Token is invalid",
    }
    for bad, message in messages.items():
        status, body = await refused(serving_now, f"Bearer {bad}")
        assert (status, body["messages"][0]["message"]) == (403, message)


async def test_users_who_are_not_there_or_have_left_are_refused(
    serving_now: Serving, token: Callable[..., str]
) -> None:
    assert await refused(serving_now, f"Bearer {token(4711)}") == (
        403,
        {"detail": "User not found", "code": "user_not_found"},
    )
    assert (await refused(serving_now, f"Bearer {token('gone')}"))[1]["code"] == "user_inactive"


async def test_only_a_bearer_token_will_do(serving_now: Serving) -> None:
    basic = f"Basic {b64encode(b'reader:secret').decode()}"
    for header in (basic, "", "Bearer", serving_now.token):
        assert (await refused(serving_now, header))[0] == 403
    assert (await refused(serving_now, "", f"{QUEUE_STATUS}?token={serving_now.token}"))[0] == 403


async def test_without_authentication_everybody_is_let_in(settings: Any, serving_with: Any) -> None:
    disabled = replace(settings.auth, kind="disabled")
    assert isinstance(disabled, AuthSettings)
    async with serving_with(auth=disabled) as running, running.client(authorization="") as client:
        assert (await heard(client))["status"] == "SUCCESS"


async def test_other_paths_are_not_found(serving_now: Serving) -> None:
    for path in ("/", "/ws/", "/ws/v1/queue-status/", "/v2/queue-status/", "/ws/v2/queue-statuses/"):
        assert (await refused(serving_now, f"Bearer {serving_now.token}", path))[0] == 404


async def test_bytes_that_are_no_http_harm_nobody(serving_now: Serving) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 100_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", serving_now.port)
        writer.write(garbage + b"\r\n\r\n")
        writer.write_eof()
        assert b" 101 " not in await reader.read()
        writer.close()
    async with serving_now.client() as client:
        assert await heard(client)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/ws/v2/queue-status/", Place.QUEUE_STATUS),
        ("/ws/v2/queue-status?x=/healthcheck/", Place.QUEUE_STATUS),
        ("/ws/analysis-status/", Place.ANALYSIS_STATUS),
        ("/api/ws/analysis-status", Place.ANALYSIS_STATUS),
        ("/healthcheck/", Place.HEALTH),
        ("/ws/analysis-statuses/", None),
        ("", None),
    ],
)
def test_a_path_leads_to_one_place(path: str, place: Place | None) -> None:
    assert place_of(path) is place
