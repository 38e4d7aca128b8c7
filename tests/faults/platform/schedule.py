"""A schedule of faults and users, drawn from a seed: the same seed gives the same schedule. Pure."""

import random
from dataclasses import dataclass

from tests.faults.platform.analyses import Work
from tests.faults.platform.faults import FAULTS, Fault, die_at, meddle
from tests.faults.platform.points import AFTER, BEFORE, POINTS
from tests.faults.platform.users import SCRIPTS, User

SECONDS = (("prepare-keys-file", 0.2), ("generate-losses-chunk", 0.5))
WORKS = (
    Work(rows=3, lookup_chunks=1, loss_chunks=1, seconds=SECONDS),
    Work(rows=6, lookup_chunks=2, loss_chunks=4, seconds=SECONDS),
    Work(rows=9, lookup_chunks=3, loss_chunks=8, seconds=SECONDS),
)
"""A run of one chunk, which takes a whole worker, a usual one, and one with more chunks than there are slots."""

_FIRST, _LAST = 0.3, 6.0
_LATEST_CANCEL = 4.0
_MOST_FAULTS = 5


@dataclass(frozen=True)
class Due:
    """A fault, so many seconds after the users have begun."""

    at: float
    fault: Fault


@dataclass(frozen=True)
class Schedule:
    """What is played."""

    seed: int
    users: tuple[User, ...]
    faults: tuple[Due, ...]

    def __str__(self) -> str:
        users = ", ".join(f"{user.script} ({user.work.loss_chunks} chunks, {user.after} s)" for user in self.users)
        faults = "; ".join(f"{due.at} s {due.fault.name}" for due in self.faults)
        return f"{users} | {faults}"


def schedule(seed: int) -> Schedule:
    """Three users of different sizes, one of whom cancels and one resumes; two to five faults."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    scripts = ["resumed", "cancelled", chance.choice(sorted(SCRIPTS))]
    chance.shuffle(scripts)
    users = (
        User(script, work, round(chance.uniform(_FIRST, _LATEST_CANCEL), 1))
        for script, work in zip(scripts, chance.sample(WORKS, len(WORKS)), strict=True)
    )
    times = sorted(round(chance.uniform(_FIRST, _LAST), 1) for _ in range(chance.randint(2, _MOST_FAULTS)))
    return Schedule(seed, tuple(users), tuple(Due(at, _fault(chance)) for at in times))


def _fault(chance: random.Random) -> Fault:
    """A point as often as any other fault, and sometimes a meddler with a seed of his own."""
    kind = chance.random()
    if kind < 0.5:
        service = chance.choice(sorted(POINTS))
        return die_at(service, chance.choice(POINTS[service]), chance.choice((BEFORE, AFTER)), chance.randint(1, 8))
    if kind < 0.6:
        return meddle(chance.randrange(1000))
    return FAULTS[chance.choice(sorted(FAULTS))]
