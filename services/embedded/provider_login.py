"""Requests of a client that logs in with a secret at the OpenID Connect provider, by way of the API."""

import time
from collections.abc import Callable

import requests
from requests.auth import AuthBase

from services.embedded.environment import Login
from services.embedded.errors import EmbeddedError

_RENEW_BEFORE = 0.1
"""Of a token's life."""
_TIMEOUT = 30


class ClientCredentials(AuthBase):
    """Puts a token into each request, a new one when the last is about to end."""

    def __init__(self, url: str, login: Login, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = f"{url}access_token/"
        self._form = {"client_id": login.username, "client_secret": login.password}
        self._clock = clock
        self._token = ""
        self._good_until = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not self._token or self._clock() >= self._good_until:
            self._log_in()
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _log_in(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(self._url, json=self._form, timeout=_TIMEOUT)
        if answer.status_code != 200:
            raise EmbeddedError(
                f"The API gives client {self._form['client_id']} no token (status {answer.status_code}): "
                f"{answer.text[:500]}"
            )
        body = answer.json()
        self._token = str(body["access_token"])
        self._good_until = self._clock() + float(body["expires_in"]) * (1 - _RENEW_BEFORE)
