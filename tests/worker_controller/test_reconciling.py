"""The reconcile loop around the pure step: what it reads, does, and does again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Self

import pytest

from services.worker_controller.controller import Controller
from services.worker_controller.errors import ApiError, FleetError
from services.worker_controller.fleet import Ended, Member
from services.worker_controller.listening import Latest
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.platform_api import ScalingOptions, read_scaling
from services.worker_controller.rules import Demand, Scaling, Strategy
from shared.broker.errors import BrokerUnavailable
from shared.metrics import exposition
from tests.worker_controller.waiting import eventually

MODEL = ModelEntry("S", "M", "1", slots=2)
QUEUE = MODEL.queue
SCALING = {
    "scaling_strategy": "FIXED_WORKERS",
    "worker_count_fixed": 2,
    "worker_count_min": 0,
    "worker_count_max": 10,
    "chunks_per_worker": 10,
}


class Api:
    """Answers as the API does."""

    def __init__(self) -> None:
        self.workers: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] = [
            {"id": 5, "supplier_id": "S", "model_id": "M", "version_id": "1", "run_mode": "V2"}
        ]
        self.reads: list[str] = []
        self.fails = False

    def get(self, path: str, **_: str) -> Any:
        self.reads.append(path)
        if self.fails:
            raise ApiError("no answer")
        return {"workers/": self.workers, "models/": self.models, "models/5/scaling_configuration/": SCALING}[path]

    def serve(self, name: str, draining: bool = False) -> None:
        worker = {"worker_id": f"id of {name}", "fleet_name": name, "slots": 2, "free_slots": 2, "draining": draining}
        self.workers.append(worker)


class ScriptedFleet:
    """Members as the test wants them."""

    def __init__(self) -> None:
        self.there: dict[str, Member] = {}
        self.fails = False
        self.is_away = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def members(self) -> Sequence[Member]:
        if self.is_away:
            raise FleetError("the engine does not answer")
        return list(self.there.values())

    def start(self, name: str, model: ModelEntry) -> None:
        if self.fails:
            raise FleetError("no such image")
        self.there[name] = Member(name, model.queue, 0.0)

    def stop(self, name: str) -> None:
        self.end(name, 0)

    def kill(self, name: str) -> None:
        self.end(name, 137)

    def forget(self, name: str) -> None:
        del self.there[name]

    def end(self, name: str, status: int, age: float = 50.0) -> None:
        self.there[name] = Member(name, self.there[name].queue, age, Ended(status, None, f"exit status {status}"))


class Told:
    """What was said over the broker."""

    def __init__(self) -> None:
        self.drained: list[str] = []
        self.dead: list[tuple[str, str]] = []
        self.reasons: list[tuple[str, str]] = []
        self.fails = False

    def drain(self, worker_id: str) -> None:
        self.drained.append(worker_id)

    def died(self, worker_id: str, reason: str) -> None:
        if self.fails:
            raise BrokerUnavailable("gone")
        self.dead.append((worker_id, reason))

    def unserved(self, queue: str, reason: str) -> None:
        self.reasons.append((queue, reason))


class Bench:
    """A controller, and all around it."""

    def __init__(self) -> None:
        self.api, self.fleet, self.told, self.latest = Api(), ScriptedFleet(), Told(), Latest()
        self.now = 100.0
        options = ScalingOptions(self.api, 10.0, clock=lambda: self.now)
        models = {QUEUE: MODEL}
        self.controller = Controller(
            self.api, self.fleet, self.told, self.latest, models, options, clock=lambda: self.now
        )

    def hear(self, **demand: int) -> None:
        self.latest.set({QUEUE: Demand(QUEUE, analyses=1, priority=4, oldest=1, **demand)})
        self.controller.reconcile()

    def start_two(self) -> list[str]:
        """The names of two workers that serve."""
        self.hear(ready=4)
        names = list(self.fleet.there)
        assert len(names) == 2
        for name in names:
            self.api.serve(name)
        return names


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_done_before_the_queue_status_is_heard(bench: Bench) -> None:
    bench.controller.reconcile()
    assert bench.fleet.there == {}


def test_nothing_is_done_while_the_api_does_not_answer(bench: Bench) -> None:
    bench.api.fails = True
    with pytest.raises(ApiError):
        bench.hear(ready=4)
    assert bench.fleet.there == {}
    bench.api.fails = False
    assert len(bench.start_two()) == 2


@pytest.mark.parametrize("snapshot", [None, {}, {"another": Demand("another", ready=1)}])
def test_nobody_is_stopped_after_a_snapshot_that_is_empty_or_does_not_have_the_queue(
    bench: Bench, snapshot: dict[str, Demand] | None
) -> None:
    names = bench.start_two()
    for _ in range(50):
        bench.now += 5
        bench.latest.set(snapshot)
        bench.controller.reconcile()
    assert (list(bench.fleet.there), bench.told.drained) == (names, [])


def test_nothing_is_done_while_the_fleet_cannot_say_who_is_there_and_nobody_is_taken_for_dead(bench: Bench) -> None:
    names = bench.start_two()
    bench.fleet.is_away = True
    with pytest.raises(FleetError):
        bench.hear(ready=9)
    bench.fleet.is_away = False
    bench.hear(ready=4)
    assert (list(bench.fleet.there), bench.told.dead, bench.told.drained) == (names, [], [])


def test_a_controller_that_cannot_compare_goes_on_until_it_can(bench: Bench) -> None:
    bench.fleet.is_away = True
    stopping = threading.Event()
    loop = threading.Thread(target=bench.controller.run, args=(stopping,))
    loop.start()
    try:
        bench.latest.set({QUEUE: Demand(QUEUE, ready=4, analyses=1)})
        eventually(lambda: "workers/" in bench.api.reads, "it has looked")
        bench.fleet.is_away = False
        bench.latest.set({QUEUE: Demand(QUEUE, ready=4, analyses=1)})
        eventually(lambda: len(bench.fleet.there) == 2, "both are started")
    finally:
        stopping.set()
        bench.latest.set(None)
        loop.join()


def test_a_dead_worker_is_reported_forgotten_and_replaced(bench: Bench) -> None:
    first, second = bench.start_two()
    bench.fleet.end(first, 1)
    bench.controller.reconcile()
    assert bench.told.dead == [(f"id of {first}", "exit status 1")]
    assert first not in bench.fleet.there
    assert second in bench.fleet.there
    assert len(bench.fleet.there) == 2


def test_a_worker_that_was_silent_before_its_end_showed_is_reported_all_the_same(bench: Bench) -> None:
    first, second = bench.start_two()
    bench.controller.reconcile()
    # Given one whose host is lost: the API has long forgotten it when the Swarm gives the host up
    bench.api.workers = []
    bench.controller.reconcile()
    assert bench.told.dead == []
    bench.fleet.there[first] = Member(first, QUEUE, 50.0, Ended(None, None, "its host beta was lost"))
    bench.controller.reconcile()
    assert bench.told.dead == [(f"id of {first}", "its host beta was lost")]
    # And its queue is not held back: it had served
    assert bench.controller.state.holds == {}
    assert len(bench.fleet.there) == 2
    assert second in bench.fleet.there


def test_a_report_that_the_broker_does_not_take_is_made_again(bench: Bench) -> None:
    first, _ = bench.start_two()
    bench.fleet.end(first, 1)
    bench.told.fails = True
    with pytest.raises(BrokerUnavailable):
        bench.controller.reconcile()
    assert first in bench.fleet.there
    bench.told.fails = False
    bench.controller.reconcile()
    assert bench.told.dead == [(f"id of {first}", "exit status 1")]


def test_a_worker_is_told_to_drain_until_it_says_that_it_does(bench: Bench) -> None:
    names = bench.start_two()
    bench.hear()
    bench.now += 61
    for _ in range(2):
        bench.controller.reconcile()
    ids = {f"id of {name}" for name in names}
    assert (len(bench.told.drained), set(bench.told.drained)) == (4, ids)
    bench.api.workers = []
    for name in names:
        bench.api.serve(name, draining=True)
    bench.controller.reconcile()
    assert len(bench.told.drained) == 4
    for name in names:
        bench.fleet.end(name, 0)
    bench.controller.reconcile()
    assert (bench.fleet.there, bench.told.dead) == ({}, [])


def test_a_worker_that_cannot_be_started_holds_its_queue_back(bench: Bench) -> None:
    bench.fleet.fails = True
    bench.hear(ready=4)
    hold = bench.controller.state.holds[QUEUE]
    assert (hold.reason, hold.until > bench.now) == ("no such image", True)
    bench.fleet.fails = False
    bench.controller.reconcile()
    assert bench.fleet.there == {}
    bench.now += 10
    bench.controller.reconcile()
    assert len(bench.fleet.there) == 1


def test_scaling_configurations_are_read_again_when_they_are_old(bench: Bench) -> None:
    bench.hear()
    bench.hear()
    assert bench.api.reads.count("models/5/scaling_configuration/") == 1
    bench.now += 10
    bench.hear()
    assert bench.api.reads.count("models/5/scaling_configuration/") == 2


def test_a_model_that_nobody_has_registered_is_introduced_once(bench: Bench) -> None:
    bench.api.models[0]["run_mode"] = None
    bench.latest.set({})
    bench.controller.reconcile()
    (name,) = bench.fleet.there
    bench.api.serve(name)
    bench.controller.reconcile()
    bench.fleet.end(name, 0)
    bench.api.workers = []
    bench.now += 200
    bench.controller.state = type(bench.controller.state)()
    bench.controller.reconcile()
    assert bench.fleet.there == {}


def test_at_the_end_workers_are_stopped_or_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bench.start_two()
    stop = bench.fleet.stop
    monkeypatch.setattr(bench.fleet, "stop", lambda name: stop(name) if name == first else None)
    bench.controller.stop_workers(0.0)
    ends = {name: member.ended for name, member in bench.fleet.there.items()}
    assert {name: end.exit_status for name, end in ends.items() if end} == {first: 0, second: 137}


def test_a_scaling_configuration_is_read_as_the_api_writes_it() -> None:
    assert read_scaling(SCALING) == Scaling(Strategy.FIXED_WORKERS, 2, 0, 10, 10)
    for wrong in ({}, SCALING | {"scaling_strategy": "MAGIC"}, SCALING | {"worker_count_max": None}, None):
        with pytest.raises(ApiError):
            read_scaling(wrong)


def test_what_is_decided_is_counted(bench: Bench) -> None:
    first, _ = bench.start_two()
    bench.fleet.end(first, 1)
    bench.fleet.fails = True
    bench.controller.reconcile()

    lines = exposition(bench.controller.decided.figures(lambda: bench.controller.state.targets)).splitlines()

    assert f'lossline_workers_wanted{{queue="{QUEUE}"}} 2.0' in lines
    assert f'lossline_scale_decisions_total{{direction="more",queue="{QUEUE}"}} 1.0' in lines
    assert f'lossline_worker_starts_total{{outcome="started",queue="{QUEUE}"}} 2.0' in lines
    assert f'lossline_worker_starts_total{{outcome="failed",queue="{QUEUE}"}} 1.0' in lines
    assert "lossline_worker_deaths_total 1.0" in lines


def test_why_nobody_serves_is_told_at_once_and_again_and_no_more_once_somebody_does(bench: Bench) -> None:
    bench.fleet.fails = True
    bench.hear(ready=1)
    bench.hear(ready=1)
    # It is told once it is known, and not at every look
    said = (QUEUE, "2 in a row did not come up, and the next is held back; the last one: no such image")
    assert bench.told.reasons == [said]
    bench.now += 0.5
    bench.hear(ready=1)
    assert bench.told.reasons == [said]
    # And again before others forget it
    bench.now += 5
    bench.fleet.fails = False
    bench.hear(ready=1)
    assert bench.told.reasons == [said, said]
    # When one serves, there is nothing more to tell
    for name in bench.fleet.there:
        bench.api.serve(name)
    bench.now += 60
    bench.hear(ready=1)
    assert bench.told.reasons == [said, said]
