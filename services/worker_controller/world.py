"""What the controller sees at one moment, and what it can do: plain values. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.worker_controller.rules import Demand, Scaling


@dataclass(frozen=True)
class Serving:
    """What the registry of workers says of one that has been heard of lately."""

    worker_id: str
    slots: int
    free_slots: int
    draining: bool

    @property
    def busy(self) -> int:
        """Slots that are taken."""
        return self.slots - self.free_slots


@dataclass(frozen=True)
class Fellow:
    """A member of the fleet, with what the registry says of it.

    `died` is None while it lives, `""` after an ordered end, else the reason. `waiting` says why no host takes it.
    """

    name: str
    queue: str
    age: float
    serving: Serving | None = None
    died: str | None = None
    waiting: str = ""


@dataclass(frozen=True)
class World:
    """What the controller sees at one moment.

    `demands` by queue, None where no snapshot may be trusted; `scalings` of the models that are known, by queue;
    `slots` of a worker of each queue that this controller can start workers for; `unregistered`: queues of models
    that the API does not know yet; `start_within`: seconds that a worker has until it serves, of queues with a time of
    their own.
    """

    demands: Mapping[str, Demand] | None
    scalings: Mapping[str, Scaling]
    slots: Mapping[str, int]
    fellows: tuple[Fellow, ...]
    unregistered: frozenset[str] = frozenset()
    start_within: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """Start a worker of the queue."""

    queue: str


@dataclass(frozen=True)
class Drain:
    """Tell a worker to take no more work and to leave."""

    name: str
    worker_id: str


@dataclass(frozen=True)
class Kill:
    """End a worker that has never served, and does not in time, or is not needed."""

    name: str
    reason: str


@dataclass(frozen=True)
class Bury:
    """Forget a worker that has ended; report its death where it died with an id (`worker_id`)."""

    name: str
    reason: str
    worker_id: str | None


Action = Start | Drain | Kill | Bury
