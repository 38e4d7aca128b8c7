"""Who comes with a token of an OpenID Connect provider is let in as by the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from websockets.exceptions import InvalidStatus

from services.api.settings import AuthSettings
from services.api.websocket.settings import WebsocketSettings
from tests.api.oidc.running_provider import RunningProvider, running_provider
from tests.websocket.serving import QUEUE_STATUS, Serving, heard, serving

pytestmark = pytest.mark.integration


@pytest.fixture
def issuing() -> Iterator[RunningProvider]:
    """A provider of the test's own."""
    with running_provider() as provider:
        yield provider


async def refused(running: Serving, authorization: str, path: str = QUEUE_STATUS) -> int:
    """The status of a refused handshake."""
    with pytest.raises(InvalidStatus) as caught:
        async with running.client(path, authorization):
            raise AssertionError("it was let in")
    assert "detail" in json.loads(caught.value.response.body)
    return caught.value.response.status_code


async def test_tokens_of_a_provider_open_the_websocket(settings: WebsocketSettings, issuing: RunningProvider) -> None:
    auth = AuthSettings(kind="keycloak", oidc=issuing.settings(), signing_key="a key of the tests")
    token, administrator = issuing.token(), issuing.token(sub="sub-ada", groups=["/admin"])

    async with serving(replace(settings, auth=auth), token) as running:
        async with running.client() as client:
            assert (await heard(client))["type"] == "queue_status.updated"
        assert await refused(running, f"Bearer {token}", "/ws/analysis-status/") == 403
        async with running.client("/ws/analysis-status/", f"Bearer {administrator}"):
            pass
        for bad in (f"Bearer {issuing.token(aud='others')}", f"Bearer {token}x", "Basic YWRtaW46cGFzc3dvcmQ="):
            assert await refused(running, bad) == 403


async def test_while_the_provider_is_down_handshakes_are_503(
    settings: WebsocketSettings, issuing: RunningProvider
) -> None:
    auth = AuthSettings(kind="keycloak", oidc=issuing.settings(), signing_key="a key of the tests")
    token = issuing.token()
    issuing.kill()

    async with serving(replace(settings, auth=auth), token) as running:
        assert await refused(running, f"Bearer {token}") == 503
