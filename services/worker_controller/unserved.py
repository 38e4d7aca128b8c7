"""Why nobody serves a queue though work waits: what the controller knows, in a sentence for people. Pure."""

from collections.abc import Iterator, Mapping

from services.worker_controller.plan import Rules, State
from services.worker_controller.rules import Demand, most_allowed, prioritized
from services.worker_controller.world import World
from shared.core.plan import RECORDER_QUEUE
from shared.names import INTERNAL_QUEUE

_NOT_OURS = frozenset({RECORDER_QUEUE, INTERNAL_QUEUE})
"""Served by services of their own, which no controller starts."""


def unserved(state: State, world: World, rules: Rules) -> Mapping[str, str]:
    """By queue the reason, for queues with work and without anybody who takes it, or is about to."""
    return dict(_unserved(state, world, rules))


def _unserved(state: State, world: World, rules: Rules) -> Iterator[tuple[str, str]]:
    demands = world.demands or {}
    served = {each.queue for each in world.fellows if each.serving is not None and not each.serving.draining}
    first = prioritized(list(demands.values()), rules.limits.models)
    for queue in sorted(demands.keys() - served - _NOT_OURS):
        if demands[queue].remaining:
            reason = _reason(demands[queue], state, world, rules, is_first=queue in first)
            if reason is not None:
                yield queue, reason


def _reason(demand: Demand, state: State, world: World, rules: Rules, *, is_first: bool) -> str | None:
    queue = demand.queue
    if queue not in world.slots:
        return f"it is not in the file of models, which has {', '.join(sorted(world.slots)) or 'none'}"
    if queue in state.holds:
        hold = state.holds[queue]
        return f"{hold.deaths} in a row did not come up, and the next is held back; the last one: {hold.reason}"
    if not is_first:
        return f"no more than {rules.limits.models} models get workers at a time, and others go first"
    if queue in world.scalings and not most_allowed(world.scalings[queue]):
        return "the scaling configuration of its model allows no worker"
    alive = [each for each in world.fellows if each.died is None]
    if waiting := [each.waiting for each in alive if each.queue == queue and each.waiting]:
        return f"no host takes a worker of it: {waiting[0]}"
    is_full = rules.limits.workers is not None and len(alive) >= rules.limits.workers
    if is_full and all(each.queue != queue for each in alive):
        return f"the limit of {rules.limits.workers} workers is reached by queues that go first"
    return None
