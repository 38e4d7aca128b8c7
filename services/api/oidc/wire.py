"""HTTP to a provider: short, bounded, and never to anywhere that an answer would send it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import certifi
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from services.api.errors import ProviderDown

_LARGEST = 1024 * 1024
"""Bytes of an answer."""
_CONNECTIONS = 8


@dataclass(frozen=True)
class Answer:
    """A JSON object, or an empty one, and the status that it came with: below 500."""

    status: int
    body: Mapping[str, Any]


class Wire:
    """Connections to the provider. May be used in any thread. Connects to nobody until it is asked to."""

    def __init__(self) -> None:
        self._pool = PoolManager(
            maxsize=_CONNECTIONS,
            timeout=Timeout(connect=3, read=5),
            retries=False,
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises ProviderDown."""
        return self._ask("GET", url, headers=dict(headers or {}))

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Raises ProviderDown."""
        typed = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", url, headers=typed, body=urlencode(form))

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _ask(self, method: str, url: str, headers: dict[str, str], **options: Any) -> Answer:
        accepting = {"Accept": "application/json", **headers}
        try:
            answer = self._pool.request(
                method, url, headers=accepting, redirect=False, preload_content=False, **options
            )
            try:
                content = answer.read(_LARGEST + 1, decode_content=True)
            finally:
                answer.close()
        except (HTTPError, OSError) as error:
            raise ProviderDown(f"{method} {url}: {error}") from error
        return Answer(answer.status, _parsed(f"{method} {url}", answer.status, content))


def _parsed(what: str, status: int, content: bytes) -> Mapping[str, Any]:
    if status >= 500 or status == 429 or len(content) > _LARGEST:
        raise ProviderDown(f"{what} is answered with status {status} and {len(content)} bytes")
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return body
    if status < 400:
        raise ProviderDown(f"{what} is answered with what is no JSON object")
    return {}
