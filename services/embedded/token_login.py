"""Requests with a token: of an account of the API, or of a client that logs in at the OpenID Connect provider.

A password with each request would be hashed with each, which is meant to take the API 20 ms of processor.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
from requests.auth import AuthBase
from requests.utils import rewind_body

from services.embedded.environment import Login
from services.embedded.errors import ApiRefused

_PATH = "access_token/"
_RENEW_BEFORE = 0.1
"""Of a token's life."""
_TIMEOUT = 30


class TokenLogin(AuthBase):
    """Puts a token into each request, a new one when the last is about to end. Raises ApiRefused where there is none.

    An API without authentication gives accounts no tokens, and wants none. `verify`: the file that its certificate is
    checked by.
    """

    def __init__(self, url: str, login: Login, verify: bool | str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = f"{url}{_PATH}"
        names = ("client_id", "client_secret") if login.by_provider else ("username", "password")
        self._form = dict(zip(names, (login.username, login.password), strict=True))
        self._verify = verify
        self._clock = clock
        self._token = ""
        self._good_until = -math.inf

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._clock() >= self._good_until:
            self._log_in()
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
            request.register_hook("response", partial(self._heard, token=self._token))  # type: ignore[no-untyped-call]
        return request

    def _heard(self, response: requests.Response, *_: object, token: str, **options: Any) -> requests.Response:
        """A request whose token was refused goes again, once, with a new one: it was revoked, or its key is no more."""
        if not _is_refused(response):
            return response
        if self._token == token:
            self._log_in()
        again = response.request.copy()
        again.hooks["response"] = []
        again.headers["Authorization"] = f"Bearer {self._token}"
        if hasattr(again.body, "read"):
            rewind_body(again)
        response.close()
        answer: requests.Response = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer

    def _log_in(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self._verify
            answer = session.post(self._url, json=self._form, timeout=_TIMEOUT)
        if answer.status_code == 400 and "username" in self._form:
            self._token, self._good_until = "", math.inf
            return
        if answer.status_code != 200:
            raise ApiRefused("POST", _PATH, answer.status_code, answer.text)
        body = answer.json()
        self._token = str(body["access_token"])
        self._good_until = self._clock() + float(body["expires_in"]) * (1 - _RENEW_BEFORE)


def _is_refused(response: requests.Response) -> bool:
    """The API answers 403, as the Oasis platform does, and says that the token is the reason; others answer 401."""
    return response.status_code == 401 or (response.status_code == 403 and "token_not_valid" in response.text)
