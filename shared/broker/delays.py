"""The back-off between attempts to reach the broker. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

START = 0.2
"""Seconds: upper bound of the first delay."""

CAP = 2.0
"""Seconds: upper bound of every delay. Far below a lease: a worker that comes back to a broker later than the task
controller, by as much as a lease, has lost what it held, though it lived."""


def backoff(
    start: float = START, cap: float = CAP, uniform: Callable[[float, float], float] = random.uniform
) -> Iterator[float]:
    """Delays in seconds, for ever: each drawn from 0 to a bound that doubles from `start` up to `cap`.

    Full jitter, so that a fleet that lost its broker at one moment does not come back at one moment.
    """
    bound = min(start, cap)
    while True:
        yield uniform(0.0, bound)
        bound = min(bound * 2, cap)
