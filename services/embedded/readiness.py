"""Whether a service answers."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit


def http_ready(url: str, timeout: float = 2.0) -> Callable[[], bool]:
    """A probe that holds while `GET url` answers with a 2xx status within `timeout` (s)."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def probe() -> bool:
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
        try:
            connection.request("GET", path)
            return 200 <= connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe
