"""How often a sub-task is tried again, by the cause that ended its attempt, and after how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Cause(StrEnum):
    """Why an attempt ended without a result."""

    MODEL_ERROR = "model error"
    NO_KEYS = "no keys"
    UNREADABLE = "unreadable result"
    LOST = "worker lost"
    OUT_OF_MEMORY = "out of memory"
    STORAGE = "object store unreachable"
    UNDELIVERED = "undelivered"
    DRAINED = "drained"
    CANCELLED = "cancelled"


UNCOUNTED = frozenset({Cause.UNDELIVERED, Cause.DRAINED, Cause.CANCELLED})


@dataclass(frozen=True)
class RetryPolicy:
    """The budgets. `retries[cause]` more attempts are made after the first that ended by that cause."""

    retries: Mapping[Cause, int] = field(
        default_factory=lambda: {
            Cause.MODEL_ERROR: 2,
            Cause.UNREADABLE: 2,
            Cause.NO_KEYS: 0,
            Cause.LOST: 5,
            Cause.STORAGE: 5,
            Cause.OUT_OF_MEMORY: 1,
        }
    )
    attempts_at_most: int = 20
    first_delay: float = 1.0
    """Seconds."""
    longest_delay: float = 60.0
    """Seconds."""
    self_fence: float = 300.0
    """Seconds: how long after its end as lost an attempt may live on, on a worker that nobody has seen dead."""

    def has_tries_left(self, cause: Cause, ended: Mapping[Cause, int]) -> bool:
        """Whether a sub-task may be tried again; `ended` counts its ended attempts by cause, this one included."""
        if sum(ended.values()) >= self.attempts_at_most:
            return False
        return cause in UNCOUNTED or ended.get(cause, 0) <= self.retries[cause]

    def delay(self, cause: Cause, ended: Mapping[Cause, int], jitter: float) -> float:
        """Seconds until the next attempt: doubling with each counted end, shortened by up to a half (jitter 0..1).

        None after a first loss: the death of a worker says nothing of the sub-task (docs/decisions/0012).
        """
        counted = sum(count for each, count in ended.items() if each not in UNCOUNTED)
        if cause in UNCOUNTED or (cause == Cause.LOST and counted == 1):
            return 0.0
        whole = min(self.longest_delay, self.first_delay * 2.0 ** (counted - 1))
        return whole * (1.0 - 0.5 * jitter)
