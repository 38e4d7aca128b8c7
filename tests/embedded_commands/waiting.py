"""Waiting for what must come."""

import time
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds."""


def eventually(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail the test when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it never came that {what}"
        time.sleep(0.02)
