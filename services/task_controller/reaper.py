"""When an attempt is given up: a pure watch over what is seen, on a monotonic clock.

An attempt is given up only after its renewals have stood still for a whole lease while canaries came back through
the same queue. Any gap, of the reaper, the broker or the database, starts the watch anew.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Sighting:
    """How many renewals an attempt had, and since when it has had no more (seconds, monotonic)."""

    renewals: int
    since: float


@dataclass
class Watch(Generic[K]):
    """`lease` and `gap` in seconds: looks further apart than `gap`, or a canary older than it, restart the watch."""

    lease: float
    gap: float
    _seen: dict[K, Sighting] = field(default_factory=dict)
    _last_look: float | None = None

    def look(self, now: float, canary_age: float, renewals: Mapping[K, int]) -> list[K]:
        """The attempts to give up now. `canary_age`: seconds since the newest canary that came back was sent."""
        blind = self._last_look is None or now - self._last_look > self.gap or canary_age > self.gap
        self._last_look = now
        before = {} if blind else self._seen
        self._seen = {key: _sighting(before.get(key), count, now) for key, count in renewals.items()}
        return [key for key, sighting in self._seen.items() if now - sighting.since >= self.lease]

    def restart(self) -> None:
        """Forget everything: something was not looked at."""
        self._seen = {}
        self._last_look = None


def _sighting(before: Sighting | None, renewals: int, now: float) -> Sighting:
    if before is not None and before.renewals == renewals:
        return before
    return Sighting(renewals, now)
