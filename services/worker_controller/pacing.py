"""Growing at once and shrinking slowly; and holding back what keeps dying at its start. Pure: the clock is given.

A queue's target falls when all votes of a set time were for one and the same lower number, and to zero after a time of
its own. So the end of a run, where the votes fall from chunk to chunk, is one change and not many. Votes that never
agree are not waited for without end: after three such times the target falls to the highest of them.
"""

from dataclasses import dataclass, replace

_PATIENCE = 3


@dataclass(frozen=True)
class Pacing:
    """Durations in seconds."""

    shrink_after: float = 20.0
    """For how long all votes must be for the same lower number of workers."""
    idle_after: float = 60.0
    """For how long all votes must be for none."""
    first_delay: float = 1.0
    """After the first death at start; doubled at each further one."""
    longest_delay: float = 60.0
    settled_after: float = 30.0
    """A worker that has lived for so long did not die at its start."""


@dataclass(frozen=True)
class Target:
    """How many workers a queue is to have, and the votes for fewer: the first, since when they agree, the highest."""

    workers: int = 0
    first_at: float | None = None
    agree_since: float = 0.0
    last: int = 0
    highest: int = 0


def voted(target: Target, wanted: int, now: float, pacing: Pacing) -> Target:
    """The target after a vote at `now` (s, of a monotonic clock)."""
    if wanted >= target.workers:
        return Target(wanted)
    counted = _counted(target, wanted, now)
    if now - counted.agree_since >= (pacing.shrink_after if wanted else pacing.idle_after):
        return Target(wanted)
    # While nothing is to do the wait is for work to come back, not for votes to agree.
    if wanted and now - (counted.first_at or 0.0) >= _PATIENCE * pacing.shrink_after:
        return Target(counted.highest)
    return counted


def _counted(target: Target, wanted: int, now: float) -> Target:
    if target.first_at is None:
        return Target(target.workers, now, now, wanted, wanted)
    since = target.agree_since if wanted == target.last else now
    return Target(target.workers, target.first_at, since, wanted, max(target.highest, wanted))


@dataclass(frozen=True)
class Hold:
    """Deaths at start, one after the other, until when nothing is started, and why."""

    deaths: int = 0
    until: float = 0.0
    reason: str = ""


def after_death(hold: Hold, now: float, reason: str, pacing: Pacing) -> Hold:
    """The hold after one more death at start."""
    delay = min(pacing.first_delay * 2.0 ** min(hold.deaths, 30), pacing.longest_delay)
    return replace(hold, deaths=hold.deaths + 1, until=now + delay, reason=reason)
