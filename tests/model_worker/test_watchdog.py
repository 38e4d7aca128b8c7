"""Attempts that stand still or take too long are ended, and those that work are not."""

import os
from typing import Any

import pytest

from services.model_worker.watchdog import IDLE_SHARE, Patience, ProcessorTime, Watchdog
from shared.core.retries import Cause
from tests.model_worker.bench import Bench
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for


class TestWatchdog:
    def test_whoever_gives_no_sign_for_long_is_ended_with_the_reason(self) -> None:
        watchdog = Watchdog(Patience(stalled_after=100.0), began=1000.0)
        assert watchdog.look(1099.0, 0, 0.0) is None
        assert "OASIS_WORKER_STALLED_AFTER" in (watchdog.look(1100.0, 0, 0.0) or "")

    def test_every_sign_starts_the_wait_anew(self) -> None:
        watchdog = Watchdog(Patience(stalled_after=100.0), began=0.0)
        assert watchdog.look(90.0, 1, 0.0) is None
        assert watchdog.look(189.0, 1, 0.0) is None
        assert watchdog.look(190.0, 1, 0.0) is not None

    def test_work_is_a_sign_and_looking_at_the_clock_is_none(self) -> None:
        enough = IDLE_SHARE * 100.0
        busy = Watchdog(Patience(stalled_after=100.0), began=0.0)
        idle = Watchdog(Patience(stalled_after=100.0), began=0.0)
        for now in range(0, 1000, 10):
            assert busy.look(now, 0, now / 100 * 1.2 * enough) is None
        for now in range(0, 100, 10):
            assert idle.look(now, 0, now / 100 * 0.5 * enough) is None
        assert idle.look(100.0, 0, 0.5 * enough) is not None

    def test_nobody_is_ended_who_may_take_for_ever(self) -> None:
        assert Watchdog(Patience(), began=0.0).look(1e9, 0, 0.0) is None

    def test_the_deadline_ends_whoever_works(self) -> None:
        watchdog = Watchdog(Patience(deadline=100.0), began=50.0)
        assert watchdog.look(149.0, 1, 99.0) is None
        assert "OASIS_WORKER_DEADLINE" in (watchdog.look(150.0, 2, 100.0) or "")


def test_processor_time_never_goes_backwards_when_a_process_ends() -> None:
    used = ProcessorTime()
    sum(range(3_000_000))
    before = used.of([os.getpid(), os.getppid()])
    assert before > 0
    assert used.of([]) == before
    assert used.of([os.getpid()]) >= before


@pytest.fixture
def impatient(bench: Bench) -> Bench:
    """With a worker that has two seconds of patience."""
    bench.start(2, OASIS_WORKER_STALLED_AFTER="2")
    return bench


def test_a_step_that_stands_still_is_ended_as_an_error_of_the_model(impatient: Bench, controller: Controller) -> None:
    grant = impatient.grant({"say": ["waiting for a pipe"], "wait_for": "/never"})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert report.cause is Cause.MODEL_ERROR
    assert "No progress: for 2 s" in (report.message or "")
    log = impatient.text_of(grant.log_key)
    assert log.startswith("waiting for a pipe\n")
    assert (report.message or "") in log


@pytest.mark.parametrize("order", ["spin", "chatter"])
def test_a_step_that_computes_or_prints_is_left_alone(impatient: Bench, controller: Controller, order: str) -> None:
    go_on = impatient.flag("go-on")
    still = impatient.grant({"wait_for": "/never"})
    grant = impatient.grant({order: str(go_on)})
    controller.offer(grant, still)
    controller.report_of(still)  # by now the other one would have been ended too
    assert controller.reports_of(grant) == []
    go_on.touch()
    assert controller.report_of(grant).cause is None


def test_progress_that_a_kernel_reports_is_a_sign(bench: Bench, controller: Controller) -> None:
    bench.start(1, OASIS_WORKER_STALLED_AFTER="4")
    runs, go_on = bench.flag("runs"), bench.flag("go-on")
    orders: dict[str, Any] = {"touch": str(runs), "report_until": str(go_on)}
    grant = bench.grant(orders)
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    began = len(controller.beats)
    wait_for(lambda: len(controller.beats) > began + 15, "more than the patience")
    assert controller.reports_of(grant) == []
    go_on.touch()
    assert controller.report_of(grant).cause is None


def test_a_step_that_computes_for_too_long_is_ended(bench: Bench, controller: Controller) -> None:
    bench.start(1, OASIS_WORKER_DEADLINE="1.5")
    grant = bench.grant({"spin": "/never"})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert report.cause is Cause.MODEL_ERROR
    assert "Past its deadline" in (report.message or "")
