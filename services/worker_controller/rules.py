"""How many workers each queue should have, from demand, options and limits. Source: oasis_api.md section 4. Pure.

The formulas are those of the platform's API, with two differences: what counts are the sub-tasks that remain, not all
that the runs had; and of v1 queues, whose one sub-task takes a whole machine, each node gets one worker.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """What the number of workers of a model follows."""

    FIXED_WORKERS = "FIXED_WORKERS"
    QUEUE_LOAD = "QUEUE_LOAD"
    DYNAMIC_TASKS = "DYNAMIC_TASKS"


@dataclass(frozen=True)
class Scaling:
    """The scaling configuration of a model; the defaults are those of the API."""

    strategy: Strategy = Strategy.FIXED_WORKERS
    fixed: int = 1
    least: int = 0
    most: int = 10
    chunks_per_worker: int = 10


@dataclass(frozen=True)
class Demand:
    """What one queue has to do. Sub-tasks that are pending, ready and running; `priority` 1 to 10, the highest there.

    `oldest` is the lowest id of its analyses: those that were made first have waited longest.
    """

    queue: str
    pending: int = 0
    ready: int = 0
    running: int = 0
    analyses: int = 0
    priority: int = 0
    oldest: int = 0

    @property
    def remaining(self) -> int:
        """Sub-tasks that have not ended."""
        return self.pending + self.ready + self.running


@dataclass(frozen=True)
class Limits:
    """Over all queues: the most workers, and the most models that get workers for their work. None: no limit."""

    workers: int | None = None
    models: int | None = None
    never_shut_down_fixed: bool = False


def wished(scaling: Scaling, demand: Demand | None, *, keep_fixed: bool = False) -> int:
    """Workers that a queue should have by its own options; `keep_fixed`: those of FIXED_WORKERS stay without work."""
    if demand is None or not demand.remaining:
        keeps = keep_fixed and scaling.strategy == Strategy.FIXED_WORKERS
        return max(scaling.fixed, scaling.least) if keeps else scaling.least
    return max(_by_strategy(scaling, demand), scaling.least)


def _by_strategy(scaling: Scaling, demand: Demand) -> int:
    if scaling.strategy == Strategy.FIXED_WORKERS:
        return scaling.fixed
    if scaling.strategy == Strategy.QUEUE_LOAD:
        # Work without an analysis that names its queue: somebody must do it all the same.
        return min(max(demand.analyses, 1), scaling.most)
    # The API allows zero chunks per worker, which can only mean: as many workers as may be.
    share = -(-demand.remaining // scaling.chunks_per_worker) if scaling.chunks_per_worker else scaling.most
    return min(share, scaling.most)


def most_allowed(scaling: Scaling) -> int:
    """The most workers that the model's options allow, whatever there is to do."""
    return max(scaling.fixed if scaling.strategy == Strategy.FIXED_WORKERS else scaling.most, scaling.least)


def filled(demand: Demand | None, slots: int) -> int:
    """Workers of so many slots that what is ready and running fills: fewer would make work wait."""
    return -(-(demand.ready + demand.running) // slots) if demand is not None else 0


def prioritized(demands: Sequence[Demand], models: int | None) -> frozenset[str]:
    """The queues whose work counts: the first by priority, then by the oldest waiting."""
    first = sorted((each for each in demands if each.remaining), key=_rank)
    return frozenset(each.queue for each in first[:models])


def share_out(wishes: Mapping[str, int], demands: Mapping[str, Demand], limit: int | None) -> dict[str, int]:
    """What each queue gets of `limit` workers: the first by priority and age as many as it wishes, and so on."""
    left = sum(wishes.values()) if limit is None else limit
    shares = {}
    for queue in in_turn(wishes, demands):
        shares[queue] = min(wishes[queue], left)
        left -= shares[queue]
    return shares


def in_turn(queues: Iterable[str], demands: Mapping[str, Demand]) -> list[str]:
    """Queues by whose turn it is first."""
    return sorted(queues, key=lambda queue: (*_rank(demands.get(queue, Demand(queue))), queue))


def _rank(demand: Demand) -> tuple[bool, int, int]:
    """Queues with work first, then the highest priority, then the oldest analysis."""
    return (not demand.remaining, -demand.priority, demand.oldest)
