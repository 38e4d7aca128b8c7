"""The platform in containers: the published client runs the example model, and any part may stop meanwhile."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences
from services.embedded.demo import fetch_outputs
from tests.compose.engine import docker
from tests.compose.runs import CHUNKS, attempts_of, ended, eventually, model_of, requested, status_of
from tests.compose.stack import Stack
from tests.endtoend.conftest import PROGRAMS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

PARTS = (
    *("rabbitmq", "database", "objects", "api", "websocket", "task_controller"),
    *("worker_monitor", "internal_worker", "worker_controller"),
)


def test_the_published_client_runs_the_example_model_on_workers_that_come_and_go(
    stack: Stack, example: Case, tmp_path: Path
) -> None:
    # Given the worker that has introduced the model gone again
    model = model_of(stack.client, example)
    eventually(lambda: not stack.workers(), "nobody works", 60)
    (tmp_path / "login.json").write_text(json.dumps({"username": "admin", "password": "password"}))
    # When the client runs an analysis
    command = [str(PROGRAMS / "oasislmf"), "api", "run", "--server-url", stack.url, "--server-version", "v2"]
    command += ["--server-login-json", str(tmp_path / "login.json"), "--model-id", str(model), "-o", str(tmp_path)]
    command += ["-x", str(example.exposure["location_file"]), "-a", str(example.settings)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    # Then it has downloaded the outputs
    assert done.returncode == 0, done.stdout + done.stderr + stack.logs()
    (archive,) = tmp_path.glob("analysis_*_output.tar.gz")
    with tarfile.open(archive) as outputs:
        assert any(name.startswith("output/gul_S1_") for name in outputs.getnames())
    # And nobody works any more
    eventually(lambda: not stack.workers(), "the workers leave", 90)


def test_a_part_that_stops_in_the_middle_of_a_run_changes_nothing_in_its_outcome(
    stack: Stack, example: Case, undisturbed: Path, tmp_path: Path
) -> None:
    client, analyses = stack.client, list[int]()
    for part in PARTS:
        # Given a run whose losses are being computed
        if not analyses or eventually(lambda: status_of(client, analyses[-1]), "it answers", 60) != "RUN_STARTED":
            analyses.append(eventually(lambda: requested(client, example, CHUNKS), "a run is requested", 60))
        eventually(lambda: status_of(client, analyses[-1]) == "RUN_STARTED", f"it runs when {part} is to stop", 120)
        # When a part stops, and comes back
        docker("stop", stack.container(part))
        docker("start", stack.container(part))
    # Then every run completes, with the outputs of one that nothing has disturbed
    for number, analysis in enumerate(analyses):
        assert ended(client, analysis) == "RUN_COMPLETED", stack.logs()
        outputs = fetch_outputs(client, analysis, tmp_path / str(number))
        assert differences(outputs, undisturbed, exactly=False) == []


def test_two_models_run_side_by_side_one_of_them_from_a_folder_of_the_host(
    stack: Stack, side_by_side: tuple[int, int], undisturbed: Path, tmp_path: Path
) -> None:
    outputs = fetch_outputs(stack.client, side_by_side[1], tmp_path)
    assert differences(outputs, undisturbed, exactly=False) == []


def test_a_controller_that_is_killed_loses_no_worker_and_doubles_none(stack: Stack, example: Case) -> None:
    client = stack.client
    model = model_of(client, example)
    scaling = f"v2/models/{model}/scaling_configuration/"
    client.post(scaling, {"scaling_strategy": "FIXED_WORKERS", "worker_count_fixed": 2, "worker_count_min": 0})
    # Given a run on two workers
    analysis = requested(client, example, CHUNKS // 2)
    workers = eventually(lambda: len(found := stack.workers()) == 2 and found, "two work", 60)
    # When the controller is killed, and the engine starts it again
    docker("kill", stack.container("worker_controller"))
    docker("start", stack.container("worker_controller"))
    eventually(lambda: stack.is_healthy("worker_controller"), "it hears the queue status", 60)
    # Then the same two do the work, each sub-task once
    assert stack.workers() == workers
    assert ended(client, analysis) == "RUN_COMPLETED", stack.logs()
    attempts = eventually(lambda: attempts_of(client, analysis), "they are listed", 10)
    assert {(len(of_one), of_one[0]["cause"]) for of_one in attempts.values()} == {(1, None)}
