"""Whether the broker answers."""

from pika import BlockingConnection, URLParameters  # type: ignore[import-untyped]

PATIENCE = 3.0
"""Seconds."""


def check_broker(url: str) -> None:
    """Connect and hang up. Raises what pika raises."""
    parameters = URLParameters(url)
    parameters.socket_timeout = PATIENCE
    parameters.blocked_connection_timeout = PATIENCE
    parameters.stack_timeout = PATIENCE
    parameters.connection_attempts = 1
    BlockingConnection(parameters).close()
