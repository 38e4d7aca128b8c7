"""The provider's process, and what tests ask of it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import requests

from services.api.oidc.settings import OidcSettings
from tests.api.live_server import free_port

PATIENCE = 30.0
"""Seconds."""
CLIENT = "lossline"
SECRET = "the client's secret: %&+"


class RunningProvider:
    """Started; may be killed, and started again at the same address with other keys."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.api.oidc.provider_process", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def settings(self, **changes: Any) -> OidcSettings:
        values = {"kind": "keycloak", "endpoint": self.url, "issuer": self.url, "client": CLIENT, "secret": SECRET}
        return OidcSettings(**{**values, "audiences": frozenset({CLIENT, "oasis-service"}), **changes})  # type: ignore[arg-type]

    def token(self, *, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """One of Keycloak's, for user bo unless the claims say otherwise; a claim that is None is left out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": CLIENT, "azp": CLIENT, "sub": "sub-bo", "iat": now, "exp": now + 300}
        usual |= {"jti": uuid4().hex, "typ": "Bearer", "preferred_username": "bo", "groups": ["/team-a"]}
        whole = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return self.ask("sign", {"alg": alg, "header": header or {}, "claims": whole})

    def rotate(self) -> None:
        self.ask("rotate", {})

    def published_keys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/keys", timeout=PATIENCE).json()["keys"]
        return found

    def ask(self, path: str, body: Any) -> str:
        answer = requests.post(f"{self.url}/{path}", json=body, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.text


@contextmanager
def running_provider() -> Iterator[RunningProvider]:
    provider = RunningProvider()
    try:
        yield provider
    finally:
        provider.kill()
