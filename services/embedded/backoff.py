"""How long to wait before a dead service is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds: the first delay, doubled at each death up to the longest; forgotten after a life of `reset_after`."""

    first: float = 0.5
    longest: float = 10.0
    reset_after: float = 30.0

    def after_death(self, previous: float | None, lived: float) -> float:
        """The delay after a death, from the delay before that life (None: it was the first) and its length."""
        if previous is None or lived >= self.reset_after:
            return self.first
        return min(previous * 2, self.longest)
