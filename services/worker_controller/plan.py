"""What is wanted against what is there: one pure step of the controller, `step(state, world, now) -> (state, actions)`.

Level-triggered: nothing is remembered of what was done, but for the votes, the holds and who is being drained. Whoever
starts again with an empty state and the same world comes to the same end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.worker_controller.pacing import Hold, Pacing, Target, after_death, voted
from services.worker_controller.rules import (
    Demand,
    Limits,
    filled,
    in_turn,
    most_allowed,
    prioritized,
    share_out,
    wished,
)
from services.worker_controller.world import Action, Bury, Drain, Fellow, Kill, Start, World


@dataclass(frozen=True)
class State:
    """What one step hands to the next."""

    targets: Mapping[str, Target] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()
    """Names of those that have been told to drain."""
    unborn: frozenset[str] = frozenset()
    """Names of those that have been seen young, and never serving."""


@dataclass(frozen=True)
class Rules:
    """What the controller has been told by its settings. `start_within`: seconds that a worker has until it serves."""

    limits: Limits = field(default_factory=Limits)
    pacing: Pacing = field(default_factory=Pacing)
    start_within: float = 180.0
    v1_workers: int | None = 1
    """The most workers of a v1 queue."""


def step(state: State, world: World, now: float, rules: Rules) -> tuple[State, list[Action]]:
    """Compare once. `now` in seconds of a monotonic clock."""
    alive = [each for each in world.fellows if each.died is None]
    leaving = frozenset(each.name for each in alive if each.name in state.leaving or _says_it_drains(each))
    staying = [each for each in alive if each.name not in leaving]
    unborn = frozenset(each.name for each in alive if _is_unborn(each, state, world, rules))
    holds = _held_back(state, world.fellows, now, rules.pacing)
    targets = _targets(state.targets, world, staying, now, rules)
    actions: list[Action] = [_burial(each) for each in world.fellows if each.died is not None]
    actions += _drains(each for each in alive if each.name in leaving and not _says_it_drains(each))
    late = [each for each in alive if each.name in unborn and each.age > _time_to_start(each, world, rules)]
    actions += [Kill(each.name, f"it did not serve within {_time_to_start(each, world, rules):g} s") for each in late]
    surplus = _surplus(targets, staying)
    actions += _drains(surplus)
    leaving |= {each.name for each in surplus}
    unplaced = [each.name for each in alive if each.waiting and each.name in leaving]
    actions += [Kill(name, "it is not needed any more, and no host took it") for name in unplaced]
    room = None if rules.limits.workers is None else max(0, rules.limits.workers - len(alive))
    actions += _starts(targets, staying, holds, world, now)[:room]
    return State(targets, holds, leaving, unborn), actions


def _time_to_start(fellow: Fellow, world: World, rules: Rules) -> float:
    return world.start_within.get(fellow.queue, rules.start_within)


def _is_unborn(fellow: Fellow, state: State, world: World, rules: Rules) -> bool:
    """One that has served, or was found old, may be silent because nobody reads heartbeats: it is left alone."""
    is_young = fellow.age <= _time_to_start(fellow, world, rules)
    return fellow.serving is None and (fellow.name in state.unborn or is_young)


def _says_it_drains(fellow: Fellow) -> bool:
    return fellow.serving is not None and fellow.serving.draining


def _drains(fellows: Iterable[Fellow]) -> list[Action]:
    """Told again until the worker says itself that it drains: a message may be lost."""
    return [Drain(each.name, each.serving.worker_id) for each in fellows if each.serving is not None]


def _burial(fellow: Fellow) -> Bury:
    worker_id = fellow.serving.worker_id if fellow.serving is not None and fellow.died else None
    return Bury(fellow.name, fellow.died or "", worker_id)


def _held_back(state: State, fellows: Iterable[Fellow], now: float, pacing: Pacing) -> Mapping[str, Hold]:
    """Those that died at their start hold their queue back; one that serves for a while frees it."""
    holds = dict(state.holds)
    for each in fellows:
        has_settled = each.age >= pacing.settled_after and each.serving is not None
        if has_settled:
            holds.pop(each.queue, None)
        elif each.died is not None and each.name not in state.leaving:
            reason = each.died or "it ended by itself with exit status 0"
            holds[each.queue] = after_death(holds.get(each.queue, Hold()), now, reason, pacing)
    return holds


def _targets(
    before: Mapping[str, Target], world: World, staying: list[Fellow], now: float, rules: Rules
) -> Mapping[str, Target]:
    there = {queue: sum(each.queue == queue for each in staying) for queue in world.slots}
    # A controller that has just started takes what it finds for wanted, until votes say otherwise.
    targets = {queue: before.get(queue, Target(there[queue])) for queue in world.slots}
    if world.demands is None:
        return targets
    counted = prioritized(list(world.demands.values()), rules.limits.models)
    demands = {queue: each for queue, each in world.demands.items() if queue in counted}
    wishes = {queue: _wish(queue, world, demands.get(queue), targets[queue], rules) for queue in world.slots}
    # Of some nobody has said anything: a queue that has workers is listed, as soon as they beat.
    unknown = (queue for queue in world.slots if there[queue] and queue not in world.demands)
    wishes |= {queue: targets[queue].workers for queue in unknown}
    shares = share_out(wishes, demands, rules.limits.workers)
    return {queue: voted(targets[queue], shares[queue], now, rules.pacing) for queue in world.slots}


def _wish(queue: str, world: World, demand: Demand | None, target: Target, rules: Rules) -> int:
    if queue in world.unregistered:
        return 1
    if queue not in world.scalings:
        return target.workers
    scaling = world.scalings[queue]
    wish = wished(scaling, demand, keep_fixed=rules.limits.never_shut_down_fixed)
    # Fewer only when what is ready and running no longer fills the slots that there are, or the options allow no more.
    wish = max(wish, min(target.workers, filled(demand, world.slots[queue]), most_allowed(scaling)))
    is_v1 = not queue.endswith("-v2")
    return wish if not is_v1 or rules.v1_workers is None else min(wish, rules.v1_workers)


def _surplus(targets: Mapping[str, Target], staying: list[Fellow]) -> list[Fellow]:
    """Who leaves: those that no host takes, then the idle, then the least busy, of them the youngest.

    Who runs and does not serve yet cannot be told.
    """
    chosen: list[Fellow] = []
    for queue in sorted({each.queue for each in staying}):
        members = [each for each in staying if each.queue == queue]
        can_leave = [each for each in members if each.waiting]
        can_leave += sorted((each for each in members if each.serving is not None), key=_by_work)
        # A queue without a target is no longer in the file of models: all its workers leave.
        chosen += can_leave[: max(0, len(members) - targets.get(queue, Target()).workers)]
    return chosen


def _by_work(fellow: Fellow) -> tuple[int, float, str]:
    return (fellow.serving.busy if fellow.serving is not None else 0, fellow.age, fellow.name)


def _starts(
    targets: Mapping[str, Target], staying: list[Fellow], holds: Mapping[str, Hold], world: World, now: float
) -> list[Action]:
    found: list[Action] = []
    for queue in in_turn(targets, world.demands or {}):
        if holds.get(queue, Hold()).until > now:
            continue
        missing = targets[queue].workers - sum(each.queue == queue for each in staying)
        # One at a time after a death at start: to see whether it works again.
        found += [Start(queue)] * (min(missing, 1) if queue in holds else max(0, missing))
    return found
