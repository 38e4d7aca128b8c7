"""How long a worker has heard nothing of the task controller. Pure.

A broker that takes heartbeats proves nothing: the one that must act on them may be dead, or cut off from the broker.
"""

from dataclasses import dataclass, field

_LONGEST_STEP = 3
"""Beats. What a worker was stopped or starved for longer did not pass for it: the answers may lie in its socket."""


@dataclass
class Contact:
    """Told of every heartbeat sent and every message heard; `beat_every` and all times in seconds."""

    beat_every: float
    silent_for: float = field(default=0.0, init=False)
    _last_beat: float | None = field(default=None, init=False)

    def beat(self, now: float) -> None:
        """A heartbeat is sent."""
        if self._last_beat is not None:
            self.silent_for += min(now - self._last_beat, _LONGEST_STEP * self.beat_every)
        self._last_beat = now

    def heard(self) -> None:
        """The task controller has said something."""
        self.silent_for = 0.0
