"""The life of a worker's process: what it says at start, what it costs, and what is left when it dies."""

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil

from services.model_worker.processes.markers import SWEEP_VARIABLE, worker_token
from shared.core.retries import Cause
from tests.model_worker.bench import Bench, WorkerProcess
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for


def test_a_worker_registers_its_model(
    shared_bench: Bench, shared_controller: Controller, shared_worker: WorkerProcess
) -> None:
    wait_for(lambda: shared_controller.registrations, "a registration")
    (said,) = shared_controller.registrations
    model = shared_bench.model
    assert (said.supplier_id, said.model_id, said.version_id) == ("Ours", model.model_id, "1")
    assert said.run_mode == "V2"
    assert said.settings == model.settings
    assert said.oasislmf_config == {"model_data_dir": "model_data"}
    assert set(said.versions) == {"oasislmf", "ktools", "platform", "ods-tools", "oed-schema"}
    assert all(said.versions.values())


def test_the_supervisor_is_slim(
    shared_bench: Bench, shared_controller: Controller, shared_worker: WorkerProcess
) -> None:
    grant = shared_bench.grant({"leave": {"params": "params.json"}})
    shared_controller.offer(grant)
    shared_controller.report_of(grant)
    mapped = Path(f"/proc/{shared_worker.process.pid}/maps").read_text()
    assert ".so" in mapped
    assert not [line for line in mapped.splitlines() if "/numpy" in line or "/pandas" in line or "/oasislmf" in line]
    assert psutil.Process(shared_worker.process.pid).memory_info().rss < 120 * 1024 * 1024


def test_a_step_sees_no_secret_of_the_worker(bench: Bench, controller: Controller) -> None:
    secrets = {
        "OASIS_RABBIT_PASS": "hush-broker",
        "OASIS_AWS_ACCESS_KEY_ID": "hush-id",
        "OASIS_AWS_SECRET_ACCESS_KEY": "hush-s3",
        "OASIS_SERVER_DB_PASS": "hush-database",
        "OASIS_SERVER_DB_HOST": "hush-place",
    }
    worker = bench.start(**secrets)
    path = bench.flag("shown")
    grant, _, go_on = bench.waiting(orders={"show": str(path)})
    controller.offer(grant)
    wait_for(path.exists, "what the step sees")
    environ = json.loads(path.read_text())["environ"]
    below = [process.environ() for process in worker.processes()]
    for seen in (environ, *below):
        assert not set(secrets) & set(seen)
        assert not [name for name, value in seen.items() if "hush" in value or bench.broker in value]
    assert len(below) >= 2
    assert environ["OASIS_MODEL_ID"] == bench.model.model_id
    assert environ["OASIS_ANALYSIS_STATUS_URL"].startswith("http://127.0.0.1:")
    go_on.touch()
    controller.report_of(grant)


def test_a_worker_may_keep_all_that_attempts_leave(bench: Bench, controller: Controller) -> None:
    flags = {"OASIS_KEEP_LOCAL_DATA": "True", "OASIS_KEEP_REMOTE_DATA": "True", "OASIS_DEBUG": "1"}
    worker = bench.start(**flags)
    shown = bench.flag("shown")
    grant = bench.grant({"show": str(shown), "leave": {"params": "params.json"}})
    cleanup = bench.grant(step="cleanup-input-generation")
    controller.offer(grant)
    controller.report_of(grant)
    controller.offer(cleanup)
    assert controller.report_of(cleanup).cause is None

    facts = json.loads(shown.read_text())
    assert facts["flags"] == {"debug": True, "keep_local_data": True}
    assert bench.store.exists(f"{grant.key_prefix}params.json")
    assert "OASIS_KEEP_REMOTE_DATA" in bench.text_of(cleanup.log_key)
    worker.signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert (Path(facts["directory"]) / "params.json").is_file()


def test_nothing_lives_two_seconds_after_the_supervisor_was_killed(bench: Bench, controller: Controller) -> None:
    worker = bench.start()
    pid_file = bench.flag("pid")
    grant, runs, _ = bench.waiting(orders={"deaf": True, "program": str(pid_file)})
    controller.offer(grant)
    wait_for(lambda: runs.exists() and pid_file.exists(), "the step and its program")
    family = worker.processes()
    assert len(family) >= 4  # fork server, guardian, step, program
    worker.signal(signal.SIGKILL)
    worker.wait(5)
    wait_for(lambda: not any(map(lives, family)), "the end of all of them", 2)


def test_a_new_worker_sweeps_what_an_earlier_one_left(bench: Bench, controller: Controller) -> None:
    (bench.place / "analysis-1_files-old").mkdir(parents=True)
    environ = os.environ | {SWEEP_VARIABLE: worker_token(bench.place)}
    with subprocess.Popen(["sleep", "600"], env=environ) as left:
        try:
            bench.start()
            controller.beat_after(0)
            assert left.wait(5) == -signal.SIGKILL
        finally:
            left.kill()
    assert not (bench.place / "analysis-1_files-old").exists()


def test_two_workers_of_a_folder_keep_apart(bench: Bench, controller: Controller) -> None:
    first = bench.start(1)
    grant, runs, go_on = bench.waiting()
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    second = bench.start(1)
    wait_for(lambda: {beat.worker_id for beat in controller.beats} == {first.worker_id, second.worker_id}, "both")
    assert sorted(path.name for path in bench.place.parent.iterdir() if path.is_dir()) == [
        f"{bench.queue}.0",
        f"{bench.queue}.1",
    ]
    go_on.touch()
    assert controller.report_of(grant).cause is None


def test_a_fork_server_that_is_killed_is_started_again(bench: Bench, controller: Controller) -> None:
    worker = bench.start()
    controller.beat_after(0)
    (fork_server,) = wait_for(worker.processes, "the fork server")
    fork_server.kill()
    grant = bench.grant({})
    controller.offer(grant)
    assert controller.report_of(grant).cause is None


def test_a_guardian_that_is_killed_takes_its_attempt_with_it(bench: Bench, controller: Controller) -> None:
    worker = bench.start()
    grant, runs, _ = bench.waiting()
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    (guardian,) = (process for process in worker.processes() if process.name() == "lossline-guard")
    guardian.kill()
    report = controller.report_of(grant)
    assert (report.cause, report.signal) == (Cause.MODEL_ERROR, signal.SIGKILL)
    again = bench.grant({})
    controller.offer(again)
    assert controller.report_of(again).cause is None


def test_steps_that_cannot_be_imported_end_the_worker_with_the_reason(bench: Bench, controller: Controller) -> None:
    worker = bench.start(LOSSLINE_STEPS="no_such_module")
    assert worker.wait(30) == 1
    assert "No module named 'no_such_module'" in worker.log()
    assert controller.claims == []


def test_an_object_store_that_is_away_at_the_start_ends_the_worker_with_a_sentence(bench: Bench) -> None:
    bench.store.root.rmdir()
    worker = bench.start()
    assert worker.wait(30) == 1
    assert str(bench.store.root) in worker.log()
    assert "Traceback" not in worker.log()


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
