"""A platform as `lossline up --scale` runs it, with steps that do nothing: workers follow the work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.platform_under_test import noop_model
from services.embedded.client import ApiClient
from services.embedded.layout import Layout
from services.embedded.platform import Fleet, Platform
from services.embedded.ports import free_port
from services.embedded.pushing import push
from services.embedded.rabbitmq_node import find_server
from tests.worker_controller.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

LOCATIONS = "PortNumber,AccNumber,LocNumber,BuildingTIV\n1,A,1,100\n"
ENVIRONMENT = {
    "OASIS_WORKER_CONTROLLER_IDLE_AFTER": "3",
    "OASIS_WORKER_CONTROLLER_SHRINK_AFTER": "2",
    "OASIS_WORKER_CONTROLLER_EVERY": "0.5",
    "OASIS_WORKER_CONTROLLER_SCALING_AGE": "0.5",
}


STORED = "Stored"
"""A model whose workers find no directory of it, and fetch it from a model storage."""


def storage(home: Path) -> dict[str, str]:
    """The variables of the model storage, for its workers and for whoever pushes."""
    found = {"STORAGE_TYPE": "local-fs", "MEDIA_ROOT": str(home / "models"), "CACHE": str(home / "host")}
    variables = {f"OASIS_WORKER_MODEL_STORAGE_{name}": value for name, value in found.items()}
    return variables | {"OASIS_MODEL_DATA_DIRECTORY": "/nowhere"}


def push_stored(home: Path) -> None:
    push(home / "stored-model", (None, None, None), storage(home), lambda _: None)


@pytest.fixture(scope="module")
def platform(home: Path) -> Iterator[Platform]:
    """Without any worker."""
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")
    layout = Layout(home / "home")
    model = noop_model(home / "model")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        steps = {"LOSSLINE_STEPS": "benchmarks.timed_steps"}
        fleets = [Fleet(model, workers=2, slots=2, environ=steps)]
        stored = noop_model(home / "stored-model", STORED)
        fleets.append(Fleet(stored, slots=2, environ=steps | storage(home)))
        (home / "models").mkdir()
        push_stored(home)
        cache = Path(os.environ.get("NUMBA_CACHE_DIR", home / "cache"))
        starting = Platform(layout, fleets, free_port(), cache, said=lambda _: None, scale=True)
        with starting as running:
            yield running
    assert [each for each in psutil.process_iter() if str(layout.home) in _arguments(each)] == []


def _arguments(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) if process.pid != os.getpid() else ""
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


@pytest.fixture
def api(platform: Platform) -> ApiClient:
    return ApiClient(platform.url, platform.login)


def served_by(api: ApiClient, name: str = "Noop") -> list[dict[str, Any]]:
    """The workers of a model that serve and stay."""
    ours = (each for each in api.get("v2/workers/") if str(each["fleet_name"]).startswith(f"Lossline-{name}-1-v2-"))
    return [each for each in ours if not each["draining"]]


def model_id(api: ApiClient, name: str = "Noop") -> int:
    return api.wait_for_model("Lossline", name, "1", within=120)


def new_analysis(api: ApiClient, model: int, tmp_path: Path, chunks: int) -> int:
    portfolio = api.post("v2/portfolios/", {"name": "homes"})["id"]
    (tmp_path / "location.csv").write_text(LOCATIONS)
    api.upload(f"v2/portfolios/{portfolio}/location_file/", tmp_path / "location.csv")
    analysis = api.post("v2/analyses/", {"name": "storm", "portfolio": portfolio, "model": model})["id"]
    settings: dict[str, Any] = {"model_supplier_id": "Lossline", "model_name_id": "any", "model_settings": {}}
    settings |= {"gul_output": True, "gul_summaries": [{"id": 1, "ord_output": {"elt_sample": True}}]}
    api.post(f"v2/analyses/{analysis}/settings/", settings)
    api.post(f"v2/analyses/{analysis}/chunking_configuration/", {"fixed_analysis_chunks": chunks})
    return int(analysis)


def status(api: ApiClient, analysis: int) -> Callable[[], bool]:
    def completed() -> bool:
        now = api.get(f"v2/analyses/{analysis}/")["status"]
        assert not now.endswith("ERROR"), now
        return bool(now == "RUN_COMPLETED")

    return completed


def test_a_run_without_a_worker_gets_workers_completes_and_the_workers_go(
    platform: Platform, api: ApiClient, tmp_path: Path
) -> None:
    # Given a model that a first worker has introduced, and that worker gone again
    model = model_id(api)
    eventually(lambda: not served_by(api), "nobody serves", 60)
    wanted = {"scaling_strategy": "DYNAMIC_TASKS", "chunks_per_worker": 5, "worker_count_max": 2}
    api.post(f"v2/models/{model}/scaling_configuration/", wanted)
    analysis = new_analysis(api, model, tmp_path, chunks=40)
    # When a run is requested
    began = time.monotonic()
    api.post(f"v2/analyses/{analysis}/generate_and_run/")
    eventually(lambda: api.get(f"v2/analyses/{analysis}/")["status_count"]["STARTED"], "a sub-task is started", 60)
    print(f"{time.monotonic() - began:.1f} s to the first sub-task")  # noqa: T201 - shown by `pytest -s`
    # Then two workers come, and it completes
    eventually(lambda: len(served_by(api)) == 2, "two workers serve", 60)
    eventually(status(api, analysis), "the run is completed", 90)
    # And they go, with nothing interrupted
    eventually(lambda: not served_by(api), "the workers leave", 60)
    assert_nothing_was_interrupted(api, analysis)
    fleet = platform.layout.run / "fleet"
    eventually(lambda: not list(fleet.iterdir()), "their folders are gone")


def test_a_model_from_a_storage_runs_and_its_queue_says_why_it_does_not(
    platform: Platform, api: ApiClient, tmp_path: Path, home: Path
) -> None:
    # Given a model whose first worker has fetched it
    model = model_id(api, STORED)
    (tree,) = (home / "host").glob("Lossline/Stored/1/*.lock")
    eventually(lambda: not served_by(api, STORED), "nobody serves", 60)
    # When its data lack an object, and a run is requested
    (home / "stored-model" / "more.csv").write_text("1")
    push_stored(home)
    lost = home / "models" / "Lossline" / "Stored" / "1" / "more.csv"
    lost.unlink()
    analysis = new_analysis(api, model, tmp_path, chunks=2)
    api.post(f"v2/analyses/{analysis}/generate_and_run/")
    # Then the queue says so
    said = eventually(lambda: unserved_reason(api, "Lossline-Stored-1-v2"), "the queue says why", 60)
    assert said is not None
    assert "did not come up" in said
    assert "exit status 1: The model storage lacks 1 of 3 files" in said
    assert "more.csv for one: push the model's data again" in said
    # And once they are whole, the run completes, and the data that it had before are gone
    push_stored(home)
    eventually(status(api, analysis), "the run is completed", 90)
    assert not tree.exists()
    assert unserved_reason(api, "Lossline-Stored-1-v2") is None


def unserved_reason(api: ApiClient, queue: str) -> str | None:
    (found,) = (each for each in api.get("v2/queue/") if each["name"] == queue)
    reason: str | None = found["unserved_reason"]
    return reason


def assert_nothing_was_interrupted(api: ApiClient, analysis: int) -> None:
    """Also what follows the end of a run, its cleaning up, is waited for."""
    path = f"v2/analyses/{analysis}/sub_task_list/"
    eventually(lambda: {row["status"] for row in api.get(path)} == {"COMPLETED"}, "all sub-tasks are completed")
    rows = api.get(path)
    attempts = [api.get(f"v2/analysis-task-statuses/{row['id']}/attempts/") for row in rows]
    # What is granted in the moment in which its worker is told to leave is handed back before it begins.
    assert [each for of_one in attempts for each in of_one if each["started"] and each["cause"]] == []


def test_fleets_that_grow_and_shrink_under_load_interrupt_no_sub_task(
    platform: Platform, api: ApiClient, tmp_path: Path
) -> None:
    model = model_id(api)
    scaling = f"v2/models/{model}/scaling_configuration/"
    api.post(scaling, {"scaling_strategy": "FIXED_WORKERS", "worker_count_fixed": 2, "worker_count_min": 0})
    analysis = new_analysis(api, model, tmp_path, chunks=200)
    api.post(f"v2/analyses/{analysis}/generate_and_run/")
    # Given two workers with full slots
    eventually(lambda: sum(not each["free_slots"] for each in served_by(api)) == 2, "both are busy", 60)
    first = {each["worker_id"] for each in served_by(api)}
    # When one is to go, and come back
    api.post(scaling, {"worker_count_fixed": 1})
    eventually(lambda: len(served_by(api)) == 1, "one is drained")
    api.post(scaling, {"worker_count_fixed": 2})
    eventually(lambda: {each["worker_id"] for each in served_by(api)} - first, "another one comes", 60)
    # Then every sub-task was begun once
    eventually(status(api, analysis), "the run is completed", 90)
    assert_nothing_was_interrupted(api, analysis)


def test_a_killed_controller_comes_back_to_the_same_workers_and_a_killed_worker_is_replaced(
    platform: Platform, api: ApiClient, tmp_path: Path
) -> None:
    model = model_id(api)
    wanted = {"scaling_strategy": "FIXED_WORKERS", "worker_count_fixed": 1, "worker_count_min": 1}
    api.post(f"v2/models/{model}/scaling_configuration/", wanted)
    # Given one worker that is always there
    (worker,) = eventually(lambda: len(found := served_by(api)) == 1 and found, "one worker serves", 60)
    # When the controller is killed
    (controller,) = processes_of("services.worker_controller", platform)
    controller.kill()
    eventually(lambda: processes_of("services.worker_controller", platform) not in ([], [controller]), "it is back")
    # Then it finds its worker, and starts no other
    analysis = new_analysis(api, model, tmp_path, chunks=4)
    api.post(f"v2/analyses/{analysis}/generate_and_run/")
    eventually(status(api, analysis), "the run is completed", 90)
    assert [each["worker_id"] for each in served_by(api)] == [worker["worker_id"]]
    # When the worker is killed
    (process,) = workers_of(worker["fleet_name"])
    process.send_signal(signal.SIGKILL)
    # Then another one takes its place
    eventually(lambda: [each for each in served_by(api) if each["worker_id"] != worker["worker_id"]], "another", 60)
    # And its death is known at once, not when it has been silent for long
    gone = (each["worker_id"] for each in api.get("v2/workers/"))
    assert worker["worker_id"] not in gone
    api.post(f"v2/models/{model}/scaling_configuration/", {"worker_count_min": 0})


def processes_of(module: str, platform: Platform) -> list[psutil.Process]:
    """Those of this platform."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[1:3] == ["-m", module]:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def workers_of(fleet_name: str) -> list[psutil.Process]:
    """The supervisor of that name."""
    found = []
    for process in psutil.process_iter():
        try:
            is_worker = process.cmdline()[1:3] == ["-m", "services.model_worker"]
            if is_worker and process.environ().get("LOSSLINE_FLEET_NAME") == fleet_name:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
