"""How sessions with the database are opened: named, and so that neither side waits long for a host that is lost.

A host that loses its power or its network says nothing. Left to itself, TCP notices after a quarter of an hour if
something was on its way, and after two hours if nothing was; until then the server would keep what a service of that
host has locked, the reaper's lock among it, and a service would wait for a server that is no more.
"""

from typing import Any

import psycopg
from sqlalchemy import Engine

_IDLE, _BETWEEN, _COUNT = 10, 5, 3
"""Seconds of silence before the other side is asked whether it is there, seconds between questions, questions."""
_UNANSWERED = 30_000
"""Milliseconds that what was sent may stay without an answer of the other side's kernel."""

_SERVER = {
    "tcp_keepalives_idle": _IDLE,
    "tcp_keepalives_interval": _BETWEEN,
    "tcp_keepalives_count": _COUNT,
    "tcp_user_timeout": _UNANSWERED,
}
"""Settings of PostgreSQL that any session may choose for itself; on a Unix socket they mean nothing."""


def session_arguments(name: str) -> dict[str, Any]:
    """Arguments of libpq for a session that shows as `name` in pg_stat_activity."""
    return {
        "application_name": name,
        "connect_timeout": 10,
        "keepalives_idle": _IDLE,
        "keepalives_interval": _BETWEEN,
        "keepalives_count": _COUNT,
        "tcp_user_timeout": _UNANSWERED,
        "options": " ".join(f"-c {setting}={value}" for setting, value in _SERVER.items()),
    }


def listen(engine: Engine, channel: str, name: str) -> psycopg.Connection[Any]:
    """A session beside the engine's pool that hears what is notified on a channel. Raises psycopg.Error."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(url, autocommit=True, **session_arguments(name))
    connection.execute(f"LISTEN {channel}")
    return connection
