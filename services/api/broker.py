"""Whether the broker answers."""

from pika import BlockingConnection  # type: ignore[import-untyped]

from shared.broker.pika_values import parameters_of

PATIENCE = 3.0
"""Seconds."""


def check_broker(url: str) -> None:
    """Connect and hang up. Raises what pika raises."""
    parameters = parameters_of(url, "lossline-api-check", heartbeat=30)
    parameters.socket_timeout = PATIENCE
    parameters.blocked_connection_timeout = PATIENCE
    parameters.stack_timeout = PATIENCE
    BlockingConnection(parameters).close()
