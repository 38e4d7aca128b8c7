"""Attempts that are told to end, and workers that are: what ends, when, and what is said of it."""

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from shared.core.retries import Cause
from shared.messages.catalogue import AttemptRefused, ClaimAnswered, DrainWorker, Grant, StopRun
from tests.model_worker.bench import Bench, WorkerProcess, terminate
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for

LONG = {"OASIS_WORKER_STOP_GRACE": "60"}


def begin(controller: Controller, bench: Bench, **options: object) -> tuple[Grant, Path]:
    """An attempt whose step runs, and the file that lets it go on."""
    grant, runs, go_on = bench.waiting(**options)
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    return grant, go_on


def readiness(worker: WorkerProcess) -> tuple[int, str]:
    """The status and the words of /readyz."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.health_port}/readyz", timeout=5) as response:
            return response.status, json.load(response)["status"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["status"]


@pytest.mark.usefixtures("shared_worker")
class TestStoppedRun:
    def test_the_attempts_of_a_stopped_run_get_sigterm_and_are_confirmed(
        self, shared_bench: Bench, shared_controller: Controller
    ) -> None:
        stopped, _ = begin(shared_controller, shared_bench, run_uuid="stopped")
        other, go_on = begin(shared_controller, shared_bench, run_uuid="other")
        shared_controller.tell_all(StopRun("stopped"))
        report = shared_controller.report_of(stopped)
        assert (report.cause, report.signal, report.artifacts) == (Cause.CANCELLED, signal.SIGTERM, {})
        assert [held.attempt_id for held in shared_controller.next_beat().running] == [other.attempt_id]
        go_on.touch()
        assert shared_controller.report_of(other).cause is None

    def test_a_step_that_ignores_sigterm_is_killed_with_all_that_it_started(
        self, shared_bench: Bench, shared_controller: Controller
    ) -> None:
        pid_file = shared_bench.flag("pid")
        grant, _ = begin(shared_controller, shared_bench, orders={"deaf": True, "program": str(pid_file)})
        program = psutil.Process(int(pid_file.read_text()))
        shared_controller.tell_all(StopRun(grant.run_uuid))
        report = shared_controller.report_of(grant)
        assert (report.cause, report.signal) == (Cause.CANCELLED, signal.SIGKILL)
        assert not program.is_running() or program.status() == psutil.STATUS_ZOMBIE

    def test_stopping_a_run_twice_is_confirmed_once(self, shared_bench: Bench, shared_controller: Controller) -> None:
        grant, _ = begin(shared_controller, shared_bench, orders={"deaf": True})
        for _ in range(2):
            shared_controller.tell_all(StopRun(grant.run_uuid))
        shared_controller.report_of(grant)
        shared_controller.next_beat()
        assert len(shared_controller.reports_of(grant)) == 1


class TestRefusedAttempt:
    def test_a_refused_attempt_is_killed_at_once_and_nothing_is_said_of_it(
        self, bench: Bench, controller: Controller
    ) -> None:
        worker = bench.start(**LONG)
        pid_file = bench.flag("pid")
        grant, _ = begin(controller, bench, orders={"deaf": True, "program": str(pid_file)})
        program = psutil.Process(int(pid_file.read_text()))
        controller.tell(worker.worker_id, AttemptRefused(grant.attempt_id, "a newer attempt was granted"))
        program.wait(10)
        wait_for(lambda: controller.next_beat().free_slots == 2, "the slot, free again")
        last = controller.next_beat()
        assert (last.running, last.finished, controller.reports_of(grant)) == ((), (), [])

    def test_an_attempt_that_is_refused_while_it_ends_politely_is_killed_at_once(
        self, bench: Bench, controller: Controller
    ) -> None:
        worker = bench.start(**LONG)
        grant, _ = begin(controller, bench, orders={"deaf": True})
        controller.tell_all(StopRun(grant.run_uuid))
        controller.tell(worker.worker_id, AttemptRefused(grant.attempt_id, "the run is cancelled"))
        wait_for(lambda: controller.next_beat().free_slots == 2, "the slot, free again", 10)


class TestDrain:
    def test_after_sigterm_the_running_attempt_finishes_and_is_settled_and_the_worker_leaves(
        self, bench: Bench, controller: Controller
    ) -> None:
        worker = bench.start()
        grant, go_on = begin(controller, bench)
        wait_for(lambda: readiness(worker) == (200, "OK"), "a ready worker")
        worker.signal(signal.SIGTERM)
        wait_for(lambda: controller.next_beat().draining, "a draining worker")
        beat = controller.next_beat()
        assert [held.attempt_id for held in beat.running] == [grant.attempt_id]
        assert readiness(worker) == (503, "the worker drains")
        controller.settles = False
        controller.offer(bench.grant({}))
        go_on.touch()
        assert controller.report_of(grant).cause is None
        assert controller.next_beat().finished  # it does not leave before it is answered
        controller.settles = True
        assert worker.wait(10) == 0
        assert (len(controller.claims), controller.next_claims) == (1, [])
        assert controller.tokens() == (1, 0)
        assert not bench.place.exists()

    def test_an_attempt_that_outlasts_the_drain_time_is_handed_back(self, bench: Bench, controller: Controller) -> None:
        worker = bench.start(OASIS_WORKER_DRAIN_FOR="0.5")
        grant, _ = begin(controller, bench, orders={"deaf": True})
        assert terminate(worker, within=15) == 0
        assert controller.report_of(grant).cause is Cause.DRAINED

    def test_a_worker_is_drained_by_a_message_that_names_it(self, bench: Bench, controller: Controller) -> None:
        worker = bench.start()
        controller.beat_after(0)
        controller.tell_all(DrainWorker("somebody-else"))
        assert not controller.next_beat().draining
        controller.tell_all(DrainWorker(worker.worker_id))
        assert worker.wait(10) == 0

    def test_a_worker_that_is_drained_by_a_message_takes_all_the_time_that_its_attempt_needs(
        self, bench: Bench, controller: Controller
    ) -> None:
        worker = bench.start(OASIS_WORKER_DRAIN_FOR="0.2", **LONG)
        grant, go_on = begin(controller, bench)
        controller.tell_all(DrainWorker(worker.worker_id))
        wait_for(lambda: controller.next_beat().draining, "a draining worker")
        assert [held.attempt_id for held in controller.next_beat().running] == [grant.attempt_id]
        go_on.touch()
        assert controller.report_of(grant).cause is None
        assert worker.wait(10) == 0

    def test_sigterm_ends_the_patience_of_a_worker_that_drains(self, bench: Bench, controller: Controller) -> None:
        worker = bench.start(OASIS_WORKER_DRAIN_FOR="0.2")
        grant, _ = begin(controller, bench)
        controller.tell_all(DrainWorker(worker.worker_id))
        wait_for(lambda: controller.next_beat().draining, "a draining worker")
        assert terminate(worker, within=15) == 0
        assert controller.report_of(grant).cause is Cause.DRAINED

    def test_what_a_draining_worker_is_granted_too_late_is_handed_back_with_its_token(
        self, bench: Bench, controller: Controller
    ) -> None:
        controller.deaf_to = 1000
        worker = bench.start()
        controller.send_token()
        claim = wait_for(lambda: controller.claims[0] if controller.claims else None, "a claim")
        controller.tell(worker.worker_id, DrainWorker(worker.worker_id))
        wait_for(lambda: controller.tokens() == (1, 0), "the token, given back")
        grant, runs, _ = bench.waiting()
        controller.tell(worker.worker_id, ClaimAnswered(claim.claim_id, grant))
        assert worker.wait(15) == 0
        (report,) = {report.attempt_id: report for beat in controller.beats for report in beat.finished}.values()
        assert (report.attempt_id, report.cause) == (grant.attempt_id, Cause.DRAINED)
        assert not runs.exists()
