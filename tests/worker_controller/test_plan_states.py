"""Any sequence of snapshots, deaths and ticks ends at the wanted count without flapping."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.worker_controller.pacing import Pacing
from services.worker_controller.plan import Rules, State, step
from services.worker_controller.rules import Demand, Limits, Scaling, Strategy, filled, wished
from services.worker_controller.world import Action, Bury, Drain, Fellow, Kill, Serving, Start, World

SLOTS = 2
QUEUES = ("a-v2", "b-v2")
SCALINGS = {
    "a-v2": Scaling(Strategy.DYNAMIC_TASKS, most=6, chunks_per_worker=4),
    "b-v2": Scaling(Strategy.FIXED_WORKERS, fixed=2, least=1),
}
RULES = Rules(Limits(workers=7), Pacing(shrink_after=5, idle_after=15, longest_delay=20), start_within=60)


@dataclass
class Worker:
    """One that the simulated fleet has started."""

    name: str
    queue: str
    born: float
    serves: bool = False
    busy: int = 0
    told: bool = False
    ended: str | None = None
    lived: float = 0.0

    def fellow(self, now: float) -> Fellow:
        serving = Serving(f"id of {self.name}", SLOTS, SLOTS - self.busy, self.told) if self.serves else None
        age = self.lived if self.ended is not None else now - self.born
        return Fellow(self.name, self.queue, age, serving, self.ended)


@dataclass
class Scene:
    """A fleet, a clock and a queue status; what the controller did is checked as it happens."""

    now: float = 0.0
    state: State = field(default_factory=State)
    workers: dict[str, Worker] = field(default_factory=dict)
    demands: dict[str, Demand] | None = field(default_factory=dict)
    started: int = 0
    changes: dict[str, list[int]] = field(default_factory=dict)

    def compare(self) -> list[Action]:
        fellows = tuple(worker.fellow(self.now) for worker in self.workers.values())
        world = World(self._said(), SCALINGS, dict.fromkeys(QUEUES, SLOTS), fellows)
        self.state, actions = step(self.state, world, self.now, RULES)
        for queue, target in self.state.targets.items():
            told = self.changes.setdefault(queue, [])
            if not told or told[-1] != target.workers:
                told.append(target.workers)
        for action in actions:
            self._perform(action)
        return actions

    def _said(self) -> dict[str, Demand] | None:
        """As the API tells it: a queue that has workers is listed though nothing is to do."""
        if self.demands is None:
            return None
        serving = {worker.queue for worker in self.alive() if worker.serves}
        return {queue: Demand(queue) for queue in serving} | self.demands

    def _perform(self, action: Action) -> None:
        match action:
            case Start(queue):
                self.started += 1
                name = f"w{self.started}"
                self.workers[name] = Worker(name, queue, self.now)
            case Drain(name, worker_id):
                assert worker_id == f"id of {name}"
                self.workers[name].told = True
            case Kill(name, _):
                worker = self.workers[name]
                assert not worker.serves, "a worker that serves was killed"
                worker.ended, worker.lived = "killed", self.now - worker.born
            case Bury(name, reason, worker_id):
                worker = self.workers.pop(name)
                assert worker.ended == reason
                assert (worker_id is not None) == bool(worker.serves and reason)

    def alive(self, queue: str | None = None) -> list[Worker]:
        return [each for each in self.workers.values() if each.ended is None and queue in (None, each.queue)]

    def staying(self, queue: str) -> list[Worker]:
        return [each for each in self.alive(queue) if not each.told]

    def pass_time(self, seconds: float) -> None:
        """Workers come up after two seconds; those that drain and hold nothing leave."""
        self.now += seconds
        for worker in self.alive():
            worker.serves = worker.serves or self.now - worker.born >= 2
            if worker.told and not worker.busy:
                worker.ended, worker.lived = "", self.now - worker.born

    def settle(self) -> None:
        """Nothing happens any more but time; whoever drains finishes."""
        for _ in range(60):
            self.pass_time(1.0)
            for worker in self.alive():
                worker.busy = 0 if worker.told else worker.busy
            self.compare()


class AnySequence(RuleBasedStateMachine):
    """What the world may do to the controller, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()

    @rule(queue=st.sampled_from(QUEUES), pending=st.integers(0, 20), ready=st.integers(0, 9), running=st.integers(0, 9))
    def hear(self, queue: str, pending: int, ready: int, running: int) -> None:
        demand = Demand(queue, pending, ready, running, analyses=1, priority=4, oldest=1)
        self.scene.demands = {**(self.scene.demands or {}), queue: demand}
        self.scene.compare()

    @rule()
    def lose_the_queue_status(self) -> None:
        self.scene.demands = None
        before = {queue: target.workers for queue, target in self.scene.state.targets.items()}
        drains = [each for each in self.scene.compare() if isinstance(each, Drain)]
        assert {queue: self.scene.state.targets[queue].workers for queue in before} == before
        assert all(each.name in self.scene.state.leaving for each in drains)

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 12.0]))
    def tick(self, seconds: float) -> None:
        self.scene.pass_time(seconds)
        self.scene.compare()

    @precondition(lambda self: self.scene.alive())
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.scene.alive()))
        worker.ended, worker.lived = "out of memory", self.scene.now - worker.born
        self.scene.compare()

    @precondition(lambda self: self.scene.alive())
    @rule(data=st.data(), busy=st.integers(0, SLOTS))
    def work(self, data: st.DataObject, busy: int) -> None:
        worker = data.draw(st.sampled_from(self.scene.alive()))
        if worker.serves and (not worker.told or busy < worker.busy):
            worker.busy = busy

    @rule()
    def restart_the_controller(self) -> None:
        self.scene.state = State()
        told = {worker.name for worker in self.scene.alive() if worker.told}
        self.scene.compare()
        assert {worker.name for worker in self.scene.alive() if worker.told} == told, "a restart alone drains nobody"

    @invariant()
    def never_more_than_the_limit(self) -> None:
        assert len(self.scene.alive()) <= 7

    def teardown(self) -> None:
        if self.scene.demands is None:
            self.scene.demands = {}
        self.scene.settle()
        left, reached = 7, {}
        for queue in sorted(QUEUES, key=self._rank):
            target = self.scene.state.targets[queue].workers
            demand = self.scene.demands.get(queue)
            wish = wished(SCALINGS[queue], demand)
            # Held up by what fills the slots, never above what it has been, and by the limit.
            least, most = min(wish, left), min(max(wish, filled(demand, SLOTS)), left)
            assert least <= target <= most, (queue, target, demand)
            assert len(self.scene.staying(queue)) == target
            reached[queue], left = target, left - target
        before = {queue: list(told) for queue, told in self.scene.changes.items()}
        self.scene.settle()
        assert self.scene.changes == before, "what is steady changes nothing"

    def _rank(self, queue: str) -> tuple[bool, str]:
        demand = (self.scene.demands or {}).get(queue)
        return (demand is None or not demand.remaining, queue)


AnySequence.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAnySequence = AnySequence.TestCase


def demand(pending: int, ready: int, running: int) -> dict[str, Demand]:
    return {"a-v2": Demand("a-v2", pending, ready, running, analyses=1, priority=4, oldest=1)}


def workers_of(scene: Scene) -> list[int]:
    return scene.changes["a-v2"]


def test_one_steady_run_of_two_hundred_chunks_changes_the_wanted_count_at_most_twice() -> None:
    scene = Scene()
    scene.compare()
    # Given a run whose sub-tasks are all known, and its parallel section in the middle
    for pending, ready, running in [(206, 1, 0), (205, 0, 1), (204, 1, 0), (4, 200, 0)]:
        scene.demands = demand(pending, ready, running)
        scene.pass_time(3)
        scene.compare()
    # When the chunks are done one by one, and then what follows them
    for left in range(200, 0, -1):
        running = min(left, 6 * SLOTS)
        scene.demands = demand(4, left - running, running)
        scene.pass_time(0.7)
        scene.compare()
    for pending in (3, 2, 1, 0):
        scene.demands = demand(pending, 0, 1)
        scene.pass_time(0.7)
        scene.compare()
    # Then the fleet has grown once and shrunk at most once
    assert workers_of(scene)[:2] == [0, 6]
    assert len(workers_of(scene)) <= 3
    # And it goes away when nothing follows, in one step
    during = list(workers_of(scene))
    scene.demands = {}
    scene.settle()
    assert workers_of(scene) == [*during, 0]


def test_growing_is_immediate_and_shrinking_waits_for_agreeing_votes() -> None:
    scene = Scene(demands=demand(0, 24, 0))
    scene.compare()
    assert len(scene.alive("a-v2")) == 6
    scene.pass_time(3)
    scene.demands = demand(0, 0, 2)
    for _ in range(4):
        scene.compare()
        scene.pass_time(1)
    # One vote for more begins the count again
    scene.demands = demand(0, 24, 0)
    scene.compare()
    scene.demands = demand(0, 0, 2)
    for _ in range(5):
        scene.compare()
        scene.pass_time(1)
    assert workers_of(scene) == [6]
    scene.compare()
    assert workers_of(scene) == [6, 1]


def test_the_idle_leave_first() -> None:
    scene = Scene(demands=demand(0, 24, 0))
    scene.compare()
    scene.pass_time(3)
    busy = list(scene.alive("a-v2"))[2]
    busy.busy = 1
    scene.demands = demand(0, 0, 1)
    scene.compare()
    scene.pass_time(6)
    scene.compare()
    assert scene.staying("a-v2") == [busy]


def test_work_that_is_ready_keeps_the_workers_whose_slots_it_fills() -> None:
    scene = Scene(demands=demand(0, 24, 0))
    scene.compare()
    scene.pass_time(3)
    # Given fewer sub-tasks than four for each worker, though enough for all slots
    scene.demands = demand(0, 1, 11)
    for _ in range(20):
        scene.compare()
        scene.pass_time(1)
    assert workers_of(scene) == [6]


def test_options_that_allow_fewer_count_though_work_fills_more() -> None:
    busy = tuple(Fellow(name, "a-v2", 99.0, Serving(f"id of {name}", 2, 0, False)) for name in ("one", "two", "three"))
    state = State()
    for now in range(7):
        scalings = {"a-v2": Scaling(Strategy.DYNAMIC_TASKS, most=1)}
        world = World(demand(0, 10, 6), scalings, {"a-v2": SLOTS}, busy)
        state, _ = step(state, world, float(now), RULES)
    assert state.targets["a-v2"].workers == 1
    assert len(state.leaving) == 2


def test_a_limit_moves_workers_to_the_higher_priority_and_waits_for_those_that_leave() -> None:
    scene = Scene(demands={"b-v2": Demand("b-v2", ready=9, analyses=1, priority=1, oldest=1)} | demand(0, 24, 0))
    rules = replace(RULES.limits, workers=6)
    assert rules.workers == 6
    scene.compare()
    assert (len(scene.alive("a-v2")), len(scene.alive("b-v2"))) == (6, 1)


def test_a_worker_that_keeps_dying_at_its_start_is_held_back_and_comes_back() -> None:
    scene = Scene(demands=demand(0, 4, 0))
    starts = []
    for _ in range(120):
        starts += [scene.now for each in scene.compare() if each == Start("a-v2")]
        scene.pass_time(0.5)
        for worker in scene.alive("a-v2"):
            worker.ended, worker.lived = "exit status 2", 0.5
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 16
    assert "exit status 2" in scene.state.holds["a-v2"].reason
    # When the next one serves for a while
    for _ in range(80):
        scene.pass_time(1.0)
        scene.compare()
    # Then nothing is held back any more
    assert "a-v2" not in scene.state.holds
    assert len(scene.staying("a-v2")) == 1


def test_a_worker_that_never_serves_is_killed_and_one_that_has_gone_silent_is_not() -> None:
    scene = Scene(demands=demand(0, 4, 0))
    scene.compare()
    (worker,) = scene.alive("a-v2")
    scene.pass_time(3)
    scene.compare()
    worker.serves = False
    scene.now += 100
    assert scene.compare() == []
    young = Fellow("young", "a-v2", 10.0)
    world = World(None, SCALINGS, dict.fromkeys(QUEUES, SLOTS), (young,))
    state, _ = step(State(), world, 0.0, RULES)
    _, actions = step(state, replace(world, fellows=(replace(young, age=61.0),)), 51.0, RULES)
    assert [each for each in actions if isinstance(each, Kill)] == [Kill("young", "it did not serve within 60 s")]


def test_a_model_that_takes_longer_to_start_has_a_time_of_its_own() -> None:
    young = Fellow("young", "a-v2", 10.0)
    world = World(None, SCALINGS, dict.fromkeys(QUEUES, SLOTS), (young,), start_within={"a-v2": 600.0})
    state, _ = step(State(), world, 0.0, RULES)
    state, actions = step(state, replace(world, fellows=(replace(young, age=599.0),)), 589.0, RULES)
    assert actions == []
    _, actions = step(state, replace(world, fellows=(replace(young, age=601.0),)), 591.0, RULES)
    assert actions == [Kill("young", "it did not serve within 600 s")]


def test_a_model_that_nobody_knows_gets_one_worker_to_introduce_it() -> None:
    world = World({}, {}, {"new-v2": 2}, (), frozenset({"new-v2"}))
    assert step(State(), world, 0.0, RULES)[1] == [Start("new-v2")]
    assert step(State(), replace(world, unregistered=frozenset()), 0.0, RULES)[1] == []


def test_a_queue_that_is_no_longer_in_the_file_is_drained() -> None:
    stray = Fellow("stray", "gone-v2", 99.0, Serving("id", 2, 0, False))
    assert step(State(), World({}, {}, {}, (stray,)), 0.0, RULES)[1] == [Drain("stray", "id")]


def test_a_v1_queue_gets_one_worker_unless_it_is_said_otherwise() -> None:
    scaling = {"m": Scaling(Strategy.QUEUE_LOAD)}
    world = World({"m": Demand("m", ready=5, analyses=5, priority=1, oldest=1)}, scaling, {"m": 4}, ())
    assert step(State(), world, 0.0, RULES)[1] == [Start("m")]
    assert step(State(), world, 0.0, replace(RULES, v1_workers=3))[1] == [Start("m")] * 3


def test_a_queue_that_has_workers_and_is_not_in_the_snapshot_keeps_them() -> None:
    fellow = Fellow("one", "a-v2", 99.0, Serving("id", 2, 2, False))
    world = World({}, SCALINGS, {"a-v2": SLOTS}, (fellow,))
    state, now = State(), 0.0
    for now in range(0, 200, 2):
        state, actions = step(state, world, float(now), RULES)
        assert actions == []
    # And leaves when it is listed with nothing to do
    for later in range(0, 30, 2):
        state, actions = step(state, replace(world, demands={"a-v2": Demand("a-v2")}), now + later, RULES)
    assert actions == [Drain("one", "id")]


def test_work_that_comes_back_while_workers_leave_gets_new_ones() -> None:
    scene = Scene(demands=demand(0, 8, 0))
    scene.compare()
    scene.pass_time(3)
    for worker in scene.alive("a-v2"):
        worker.busy, worker.told = 1, True
    assert scene.compare() == [Start("a-v2")] * 2


def test_a_worker_that_does_not_serve_yet_is_left_until_it_can_be_told() -> None:
    scene = Scene(demands=demand(0, 4, 0))
    scene.compare()
    (worker,) = scene.alive("a-v2")
    scene.demands = {"a-v2": Demand("a-v2")}
    scene.now += 16
    scene.compare()
    scene.now += 16
    assert scene.compare() == []
    worker.serves = True
    assert scene.compare() == [Drain(worker.name, f"id of {worker.name}")]


def test_a_worker_that_no_host_takes_waits_and_is_the_first_to_go() -> None:
    serving = Fellow("one", "a-v2", 99.0, Serving("id", 2, 2, False))
    waiting = Fellow("two", "a-v2", 0.0, waiting="no suitable node")
    world = World(demand(0, 8, 0), SCALINGS, {"a-v2": SLOTS}, (serving, waiting))
    state = State()
    # However long it waits
    for now in range(0, 300, 2):
        state, actions = step(state, world, float(now), RULES)
        assert actions == []
    # Until one is enough: then it goes before the one that serves, though that is idle
    for now in range(300, 310):
        state, actions = step(state, replace(world, demands=demand(0, 2, 0)), float(now), RULES)
        if actions:
            break
    assert actions == [Kill("two", "it is not needed any more, and no host took it")]
    # Again, until it has gone: the Swarm may not have answered
    assert step(state, replace(world, demands=demand(0, 2, 0)), 310.0, RULES)[1] == actions
    # And its end holds nothing back
    ended = replace(waiting, died="killed by its controller", waiting="")
    state, _ = step(state, replace(world, demands=demand(0, 2, 0), fellows=(serving, ended)), 310.0, RULES)
    assert state.holds == {}
