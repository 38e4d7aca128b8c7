"""What happens to a real run when its worker is killed, and when it is cancelled."""

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.embedded.client import ApiClient
from services.embedded.demo import Portfolio, submit
from shared.core.plan import RunMode
from tests.endtoend.conftest import FILES, SETTINGS, Running

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(1200)]

CHUNKS = ("generate-losses-chunk-0", "generate-losses-chunk-1")
KERNELS = ("evepy", "gulmc", "fmpy", "summarypy", "eltpy")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings that ask for little."""
    settings = {**json.loads(SETTINGS.read_text()), "il_output": False, "ri_output": False}
    settings["gul_summaries"] = [{"id": 1, "ord_output": {"elt_moment": True}}]
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    return path


def test_a_killed_worker_costs_only_the_chunks_that_it_had(platform: Running, settings: Path) -> None:
    # Given a run whose two chunks compute on the one worker
    client = platform.client
    analysis_id = submitted(client, settings)
    wait(lambda: kernels(platform), "kernels of the chunks")

    # And a heartbeat has listed them, for which they are held: a grant that was never heard of would not be counted
    def both_are_heard_of() -> bool:
        hold(kernels(platform))
        return all(states(client, analysis_id, (chunk,)) == {"running"} for chunk in CHUNKS)

    wait(both_are_heard_of, "a heartbeat of the worker")
    # When the worker is killed
    worker = process_of(platform, "services.model_worker")
    worker.kill()
    # Then none of its kernels is left
    wait(lambda: not kernels(platform), "the end of the kernels", within=5)
    # And the run completes on the worker that takes its place
    wait(lambda: status(client, analysis_id) == "RUN_COMPLETED", "the end of the run", within=200)
    retries = {row["slug"]: row["retry_count"] for row in sub_tasks(client, analysis_id) if row["retry_count"]}
    assert retries == dict.fromkeys(CHUNKS, 1)
    lost = [each for slug in retries for each in attempts(client, analysis_id, slug) if each["state"] == "lost"]
    assert [each["cause"] for each in lost] == ["worker lost", "worker lost"]
    assert all("SIGKILL" in each["message"] for each in lost)


def test_a_cancelled_run_leaves_no_kernel_and_can_go_on(platform: Running, settings: Path) -> None:
    # Given a run whose chunks compute
    client = platform.client
    analysis_id = submitted(client, settings)
    wait(lambda: kernels(platform), "kernels of the chunks")
    # When it is cancelled
    answer = client.post(f"v2/analyses/{analysis_id}/cancel/")
    # Then the answer itself says so, and no kernel is left
    assert answer["status"] == "RUN_CANCELLED"
    wait(lambda: not kernels(platform), "the end of the kernels", within=10)
    wait(lambda: run_state(client, analysis_id) == "CANCELLED", "the confirmation of the worker", within=15)
    # And it goes on from what it had completed
    assert client.post(f"v2/analyses/{analysis_id}/resume/")["status"] == "RUN_QUEUED"
    wait(lambda: status(client, analysis_id) == "RUN_COMPLETED", "the end of the resumed run", within=200)


def test_a_cancelled_run_of_v1_leaves_no_kernel_and_begins_anew(platform: Running, settings: Path) -> None:
    # Given inputs, and losses that a worker of v1 computes
    client = platform.client
    model_id = client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    analysis_id = submit(client, model_id, Portfolio(FILES, settings, 1, 1, run_mode=RunMode.V1))
    wait(lambda: status(client, analysis_id) == "READY", "the inputs")
    client.post(f"v2/analyses/{analysis_id}/run/?run_mode_override=V1")
    wait(lambda: kernels(platform), "kernels of the analysis")
    # When it is cancelled
    answer = client.post(f"v2/analyses/{analysis_id}/cancel/")
    # Then the answer itself says so, and no kernel is left
    assert (answer["status"], answer["run_mode"], answer["sub_task_count"]) == ("RUN_CANCELLED", None, 0)
    wait(lambda: not kernels(platform), "the end of the kernels", within=10)
    wait(lambda: run_state(client, analysis_id) == "CANCELLED", "the confirmation of the worker", within=15)
    # And, as its one step had not ended, it begins anew
    assert client.post(f"v2/analyses/{analysis_id}/resume/")["status"] == "RUN_QUEUED"
    wait(lambda: status(client, analysis_id) == "RUN_COMPLETED", "the end of the resumed run", within=200)


def submitted(client: ApiClient, settings: Path) -> int:
    model_id = client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    return submit(client, model_id, Portfolio(FILES, settings, 2, 2))


def kernels(platform: Running) -> list[int]:
    """Live kernel programs of this platform, whoever is their parent by now."""
    home = str(platform.log.parent)
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if any(name in " ".join(process.info["cmdline"] or ()) for name in KERNELS)
        and (process.info["environ"] or {}).get("OASIS_BASE_RUN_DIR", "").startswith(home)
    ]


def hold(programs: Iterable[int]) -> None:
    """Stop them where they are."""
    for pid in programs:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).suspend()


def process_of(platform: Running, module: str) -> psutil.Process:
    """The process below `lossline up` that runs the module; of workers, PiWind's of v2."""
    children = psutil.Process(platform.process.pid).children(recursive=True)
    running = [each for each in children if words(each).endswith(f"-m {module}")]
    (found,) = [each for each in running if is_of_v2(each.environ())]
    return found


def is_of_v2(environ: dict[str, str]) -> bool:
    """Whether a process is PiWind's worker of v2, or of no model."""
    return (environ.get("OASIS_MODEL_ID", "PiWind"), environ.get("OASIS_RUN_MODE", "v2")) == ("PiWind", "v2")


def words(process: psutil.Process) -> str:
    """The command line, empty for a process that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def status(client: ApiClient, analysis_id: int) -> str:
    found = str(client.get(f"v2/analyses/{analysis_id}/")["status"])
    assert not found.endswith("ERROR"), client.text(f"v2/analyses/{analysis_id}/run_traceback_file/")
    return found


def run_state(client: ApiClient, analysis_id: int) -> str:
    return str(client.get(f"v2/analyses/{analysis_id}/runs/")[0]["state"])


def sub_tasks(client: ApiClient, analysis_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"v2/analyses/{analysis_id}/sub_task_list/")
    return found


def states(client: ApiClient, analysis_id: int, slugs: tuple[str, ...]) -> set[str]:
    """The states of all attempts of these sub-tasks."""
    return {each["state"] for slug in slugs for each in attempts(client, analysis_id, slug)}


def attempts(client: ApiClient, analysis_id: int, slug: str) -> list[dict[str, Any]]:
    (row,) = [row for row in sub_tasks(client, analysis_id) if row["slug"] == slug]
    found: list[dict[str, Any]] = client.get(f"v2/analysis-task-statuses/{row['id']}/attempts/")
    return found


def wait(reached: Callable[[], object], what: str, *, within: float = 90) -> None:
    """Wait for a condition; `within` in seconds."""
    deadline = time.monotonic() + within
    while not reached():
        assert time.monotonic() < deadline, f"waited {within:g} s for {what}"
        time.sleep(0.1)
