"""Attempts whose warm programs, or the warm process itself, are killed while they run."""

import os
import signal

import psutil
import pytest

from services.model_worker.warm.programs import scripts_directory
from shared.core.retries import Cause
from tests.model_worker.bench import Bench, WorkerProcess
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for

KERNELS = "generate-losses-chunk"

READS = """
set -o pipefail
(until [ -e {go_on} ]; do sleep 0.05; done; printf 'event_id\\n7\\n') | csvtobin eve | cksum > {out}
"""
"""A program that has begun, and reads until it is let go on; then another one, to see that it has written all."""


@pytest.fixture(scope="module")
def worker(shared_bench: Bench, shared_controller: Controller) -> WorkerProcess:
    """One worker for all, with the programs of oasislmf warm: it mends itself of what each test does to it."""
    path = f"{scripts_directory()}{os.pathsep}{os.environ['PATH']}"
    cache = os.environ.get("NUMBA_CACHE_DIR", str(shared_bench.folder / "numba"))
    worker = shared_bench.start(2, "warm_quick_worker", PATH=path, NUMBA_CACHE_DIR=cache)
    wait_for(lambda: shared_controller.beats, "the first heartbeat", 120)
    return worker


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    return shared_bench


@pytest.fixture
def controller(shared_controller: Controller) -> Controller:
    return shared_controller


def test_an_attempt_whose_program_server_is_killed_is_reported_as_lost_and_its_repetition_completes(
    bench: Bench, controller: Controller, worker: WorkerProcess
) -> None:
    # Given a program that runs
    go_on, out = bench.flag("go-on"), bench.flag("out")
    orders = {"script": READS.format(go_on=go_on, out=out), "leave": {"work": "work.tar.gz"}}
    first, again = bench.grant(orders, step=KERNELS), bench.grant(orders, step=KERNELS)
    controller.offer(first)
    program = wait_for(lambda: warm_program(worker), "the program")
    # When its server is killed
    program.parent().kill()
    # Then the attempt is lost, and nothing that it may have left counts
    report = controller.report_of(first)
    assert (report.cause, report.artifacts) == (Cause.LOST, {})
    assert report.message is not None
    assert "Warm programs of the attempt died with their server" in report.message
    assert not program.is_running() or program.status() == psutil.STATUS_ZOMBIE
    # And the next attempt, on the same worker, is warm again and completes
    controller.offer(again)
    wait_for(lambda: warm_program(worker), "the program of the next attempt")
    go_on.touch()
    assert controller.report_of(again).cause is None
    assert out.read_text().split()[1] == "4"


def test_killing_the_warm_process_changes_nothing_for_the_attempt_that_runs(
    bench: Bench, controller: Controller, worker: WorkerProcess
) -> None:
    # Given a program that runs
    go_on, out = bench.flag("go-on"), bench.flag("out")
    orders = {"script": READS.format(go_on=go_on, out=out), "leave": {"work": "w"}}
    grant, later = bench.grant(orders, step=KERNELS), bench.grant({})
    controller.offer(grant)
    wait_for(lambda: warm_program(worker), "the program")
    # When the process that it was forked from is killed
    (fork_server,) = (each for each in worker.processes() if each.ppid() == worker.process.pid)
    fork_server.send_signal(signal.SIGKILL)
    go_on.touch()
    # Then it ends as if nothing had been, and a new warm process serves the next one
    report = controller.report_of(grant)
    assert (report.cause, set(report.artifacts)) == (None, {"work"})
    assert out.read_text().split()[1] == "4"
    controller.offer(later)
    assert controller.report_of(later, 120).cause is None


def test_only_steps_of_kernels_have_a_program_server(
    bench: Bench, controller: Controller, worker: WorkerProcess
) -> None:
    # Given a step of the inputs that runs
    inputs, runs, go_on = bench.waiting()
    controller.offer(inputs)
    wait_for(runs.exists, "the step of the inputs")
    assert not has_program_server(worker)
    # When one of the kernels runs beside it
    kernels, run, let_go = bench.waiting(step=KERNELS)
    controller.offer(kernels)
    wait_for(run.exists, "the step of the kernels")
    # Then that has one
    assert has_program_server(worker)
    go_on.touch()
    let_go.touch()
    assert [controller.report_of(grant).cause for grant in (inputs, kernels)] == [None, None]


def has_program_server(worker: WorkerProcess) -> bool:
    return any(process.name() == "lossline-progs" for process in worker.processes())


def warm_program(worker: WorkerProcess) -> psutil.Process | None:
    """The program that a program server below the worker has forked, once it is one."""
    for process in worker.processes():
        if process.name() == "lossline-progs":
            return next((child for child in process.children() if "csvtobin" in " ".join(child.cmdline())), None)
    return None
