"""Heartbeats and reports: what the task controller hears of a worker's attempts, and until when."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from shared.messages.catalogue import AttemptBeat, AttemptRefused, AttemptSettled, Message
from tests.model_worker.bench import Bench, WorkerProcess
from tests.model_worker.controller import Controller, Ears
from tests.model_worker.waiting import wait_for


@pytest.fixture
def controller(shared_controller: Controller, shared_worker: WorkerProcess) -> Iterator[Controller]:
    """Answers everything again after the test."""
    yield shared_controller
    shared_controller.settles = shared_controller.hears_reports = True


def test_a_heartbeat_comes_every_two_seconds(bench: Bench, ears: Ears) -> None:
    with Controller(ears, bench.queue) as controller:
        worker = bench.start(3, "services.model_worker", LOSSLINE_FLEET_NAME="one")
        beat = controller.beat_after(0)
        began = time.monotonic()
        controller.beat_after(3)
        assert 5 < time.monotonic() - began < 12
    assert (beat.worker_id, beat.queue, beat.fleet_name) == (worker.worker_id, bench.queue, "one")
    assert (beat.slots, beat.free_slots, beat.draining, beat.running, beat.finished) == (3, 3, False, (), ())


def test_a_heartbeat_lists_running_attempts_with_their_progress(controller: Controller, shared_bench: Bench) -> None:
    pings = [{"events_total": 100}, {"events_complete": 10}, {"events_complete": 5}]
    grant, _, go_on = shared_bench.waiting(orders={"ping": pings})
    controller.offer(grant)
    expected = (AttemptBeat(grant.attempt_id, 100, 15),)
    wait_for(lambda: controller.next_beat().running == expected, "progress in a heartbeat")
    go_on.touch()
    report = controller.report_of(grant)
    assert (report.events_total, report.events_complete) == (100, 15)
    assert controller.next_beat().running == ()


@pytest.mark.parametrize("answer", [AttemptSettled, lambda attempt_id: AttemptRefused(attempt_id, "cancelled")])
def test_a_finished_attempt_stays_in_the_heartbeat_until_it_is_answered(
    controller: Controller, shared_bench: Bench, shared_worker: WorkerProcess, answer: Callable[[UUID], Message]
) -> None:
    controller.settles = False
    grant = shared_bench.grant({"leave": {"params": "params.json"}})
    controller.offer(grant)
    report = replace(controller.report_of(grant), claim=None)
    for _ in range(2):
        beat = controller.next_beat()
        assert (beat.running, beat.finished) == ((), (report,))
    controller.tell(shared_worker.worker_id, answer(grant.attempt_id))
    assert controller.next_beat().finished == ()


def test_a_report_that_is_lost_is_settled_by_a_heartbeat(controller: Controller, shared_bench: Bench) -> None:
    controller.hears_reports = False
    grant = shared_bench.grant({})
    controller.offer(grant)
    wait_for(
        lambda: any(report.attempt_id == grant.attempt_id for b in controller.beats for report in b.finished), "it"
    )
    wait_for(lambda: controller.next_beat().finished == (), "the end of it")


def test_an_answer_about_an_attempt_that_nobody_knows_is_no_error(
    controller: Controller, shared_bench: Bench, shared_worker: WorkerProcess
) -> None:
    unknown = shared_bench.grant({})
    controller.tell(shared_worker.worker_id, AttemptSettled(unknown.attempt_id))
    controller.tell(shared_worker.worker_id, AttemptRefused(unknown.attempt_id, "never heard of it"))
    controller.offer(unknown)
    assert controller.report_of(unknown).cause is None


def test_a_settled_attempt_that_runs_goes_on(
    controller: Controller, shared_bench: Bench, shared_worker: WorkerProcess
) -> None:
    grant, runs, go_on = shared_bench.waiting()
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    controller.tell(shared_worker.worker_id, AttemptSettled(grant.attempt_id))
    assert [held.attempt_id for held in controller.next_beat().running] == [grant.attempt_id]
    go_on.touch()
    assert controller.report_of(grant).cause is None


def test_a_message_that_cannot_be_read_does_not_stop_a_worker(
    controller: Controller, shared_bench: Bench, shared_worker: WorkerProcess
) -> None:
    controller.tell_raw(shared_worker.worker_id, b"\xff{")
    controller.tell(shared_worker.worker_id, controller.beats[-1])
    grant = shared_bench.grant({})
    controller.offer(grant)
    assert controller.report_of(grant).cause is None
