"""Why nobody serves a queue: each reason, and when there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.worker_controller.pacing import Hold
from services.worker_controller.plan import Rules, State
from services.worker_controller.rules import Demand, Limits, Scaling, Strategy
from services.worker_controller.unserved import unserved
from services.worker_controller.world import Fellow, Serving, World
from shared.core.plan import RECORDER_QUEUE
from shared.names import INTERNAL_QUEUE

OURS, OTHER = "S-M-1-v2", "S-N-1-v2"
WAITING = {OURS: Demand(OURS, ready=3, priority=4, oldest=2), OTHER: Demand(OTHER, ready=1, priority=5, oldest=1)}
WORLD = World(WAITING, {OURS: Scaling(), OTHER: Scaling()}, {OURS: 1, OTHER: 1}, ())
BUSY = Fellow("a", OTHER, 60.0, Serving("w", 1, 0, draining=False))


def test_what_is_about_to_be_served_has_no_reason() -> None:
    assert unserved(State(), WORLD, Rules()) == {}
    starting = replace(WORLD, fellows=(BUSY, Fellow("b", OURS, 1.0)))
    assert unserved(State(), starting, Rules(Limits(workers=2))) == {}


@pytest.mark.parametrize(
    ("state", "world", "rules", "reason"),
    [
        (State(), replace(WORLD, slots={OTHER: 1}), Rules(), f"it is not in the file of models, which has {OTHER}"),
        (
            State(holds={OURS: Hold(3, 9.0, "exit status 2")}),
            WORLD,
            Rules(),
            "3 in a row did not come up, and the next is held back; the last one: exit status 2",
        ),
        (
            State(),
            WORLD,
            Rules(Limits(models=1)),
            "no more than 1 models get workers at a time, and others go first",
        ),
        (
            State(),
            replace(WORLD, scalings={OURS: Scaling(Strategy.QUEUE_LOAD, most=0)}),
            Rules(),
            "the scaling configuration of its model allows no worker",
        ),
        (
            State(),
            replace(WORLD, fellows=(BUSY,)),
            Rules(Limits(workers=1)),
            "the limit of 1 workers is reached by queues that go first",
        ),
        (
            State(),
            replace(WORLD, fellows=(Fellow("b", OURS, 0.0, waiting="no suitable node"),)),
            Rules(),
            "no host takes a worker of it: no suitable node",
        ),
    ],
)
def test_each_reason_is_said(state: State, world: World, rules: Rules, reason: str) -> None:
    assert unserved(state, world, rules)[OURS] == reason


def test_queues_without_work_with_a_worker_or_of_services_are_not_named() -> None:
    idle = {OURS: Demand(OURS), INTERNAL_QUEUE: Demand(INTERNAL_QUEUE, ready=1)}
    idle[RECORDER_QUEUE] = Demand(RECORDER_QUEUE, ready=1)
    assert unserved(State(), replace(WORLD, demands=idle, slots={}), Rules()) == {}
    served = replace(WORLD, fellows=(replace(BUSY, queue=OURS),), slots={})
    assert set(unserved(State(), served, Rules())) == {OTHER}
    leaving = replace(BUSY, queue=OURS, serving=Serving("w", 1, 0, draining=True))
    assert OURS in unserved(State(), replace(WORLD, fellows=(leaving,), slots={}), Rules())
    assert unserved(State(), replace(WORLD, demands=None), Rules()) == {}
