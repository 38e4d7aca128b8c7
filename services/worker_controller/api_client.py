"""The HTTP API as the worker controller uses it: logged in, its tokens renewed, its answers checked."""

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from services.worker_controller.errors import ApiError, LoginRefused

log = logging.getLogger(__name__)

_RENEW_BEFORE = 0.1
"""Of a token's life."""
_UNAUTHENTICATED = (401, 403)
_AFTER_REFUSAL = 30.0
"""Seconds after a login that was refused until the next one: the API counts them, and closes its door."""


class ApiClient:
    """Methods may be called in any thread. Raises ApiError; `credentials` are the fields of the login's form."""

    def __init__(
        self,
        url: str,
        credentials: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._credentials = credentials
        self._clock = clock
        timeout = urllib3.Timeout(connect=5, read=20)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, ssl_context=tls)
        self._lock = threading.Lock()
        self._token: str | None = None
        self._good_until = 0.0
        self._refusal: LoginRefused | None = None
        self._refused_at = 0.0

    def token(self) -> str:
        """An access token that is good for a while. Raises LoginRefused, ApiError."""
        with self._lock:
            if self._token is None or self._clock() >= self._good_until:
                self._token = self._log_in_unless_refused()
            return self._token

    def refused(self, token: str) -> None:
        """A token was not taken: log in again at the next need."""
        with self._lock:
            if self._token == token:
                self._token = None

    def get(self, path: str, **params: str) -> Any:
        """JSON of a resource below `/v2/`; a token that is refused is renewed once."""
        for again in (True, False):
            token = self.token()
            target = f"{self._url}v2/{path}" + (f"?{urlencode(params)}" if params else "")
            status, body = self._ask("GET", target, headers={"Authorization": f"Bearer {token}"})
            if status in _UNAUTHENTICATED and again:
                self.refused(token)
                continue
            if status != 200:
                raise ApiError(f"the API answers GET v2/{path} with status {status}: {body[:300]!r}", status)
            return _parsed(path, body)
        raise AssertionError("the second answer is returned or raised")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _log_in_unless_refused(self) -> str:
        if self._refusal is not None and self._clock() - self._refused_at < _AFTER_REFUSAL:
            raise LoginRefused(f"{self._refusal}; the next try comes after {_AFTER_REFUSAL:g} s", self._refusal.status)
        self._refusal = None
        try:
            return self._log_in()
        except LoginRefused as error:
            self._refusal, self._refused_at = error, self._clock()
            raise

    def _log_in(self) -> str:
        form = urlencode(self._credentials)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body = self._ask("POST", f"{self._url}access_token/", headers=headers, body=form)
        if status != 200:
            kind = LoginRefused if 400 <= status < 500 else ApiError
            raise kind(f"the API answers the login with status {status}: {body[:300]!r}", status)
        answer = _parsed("access_token/", body)
        try:
            token, life = str(answer["access_token"]), float(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(f"the API's answer to the login is not as agreed: {error!r}") from error
        self._good_until = self._clock() + life * (1 - _RENEW_BEFORE)
        log.info("Logged in", extra={"api": self._url, "good_for_s": life})
        return token

    def _ask(self, method: str, url: str, **options: Any) -> tuple[int, bytes]:
        try:
            answer = self._pool.request(method, url, redirect=False, **options)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f"the API at {self._url} does not answer: {error}") from error
        return answer.status, answer.data


def _parsed(path: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError(f"the API answers {path} with what is no JSON: {body[:100]!r}") from error
