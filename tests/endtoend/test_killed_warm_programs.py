"""A run whose warm processes are killed while it computes its losses has the outcome of any other."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences
from services.embedded.client import ApiClient
from services.embedded.demo import Portfolio, fetch_outputs, submit
from tests.endtoend.conftest import Running, ended

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]

CHUNKS = 4
TASKS = "v2/analysis-task-statuses"
SERVER = "services.model_worker.processes.fork_server"


def test_killing_the_warm_process_in_mid_run_changes_nothing(
    platform: Running, references: dict[str, Path], cases: dict[str, Case], tmp_path: Path
) -> None:
    # Given a run that computes losses
    analysis_id = submitted(platform.client, cases["piwind"])
    wait(lambda: programs_running(platform), "a program of the kernel")
    # When every warm process is killed
    killed = [each for each in below(platform) if SERVER in words(each) and parent_is_worker(each)]
    for process in killed:
        process.kill()
    # Then the run has the outcome of one that was left alone, and no attempt was repeated
    assert killed
    assert outcome(platform, analysis_id) == "RUN_COMPLETED"
    assert attempt_states(platform.client, analysis_id) == ["completed"] * CHUNKS
    assert differences(fetch_outputs(platform.client, analysis_id, tmp_path), references["piwind"]) == []


def test_killing_the_server_of_an_attempts_programs_in_mid_run_repeats_that_attempt(
    platform: Running, references: dict[str, Path], cases: dict[str, Case], tmp_path: Path
) -> None:
    # Given a run that computes losses
    analysis_id = submitted(platform.client, cases["piwind"])
    wait(lambda: programs_running(platform), "a program of the kernel")
    # When the server of programs that run is killed
    wait(lambda: killed_with_programs(platform), "a program server that could be killed with its programs")
    # Then its attempt is lost, another one completes, and the outcome is that of a run that was left alone
    assert outcome(platform, analysis_id) == "RUN_COMPLETED"
    assert attempt_states(platform.client, analysis_id) == [*["completed"] * CHUNKS, "lost"]
    assert differences(fetch_outputs(platform.client, analysis_id, tmp_path), references["piwind"]) == []


def submitted(client: ApiClient, case: Case) -> int:
    model_id = client.wait_for_model(*case.identity, within=60)
    return submit(client, model_id, Portfolio(case.exposure, case.settings, 1, CHUNKS))


def outcome(platform: Running, analysis_id: int) -> str:
    return str(ended(platform.client, analysis_id)["status"])


def attempt_states(client: ApiClient, analysis_id: int) -> list[str]:
    """Of all chunks."""
    rows: list[dict[str, Any]] = client.get(f"v2/analyses/{analysis_id}/sub_task_list/")
    chunks = [row["id"] for row in rows if row["slug"].startswith("generate-losses-chunk")]
    return sorted(each["state"] for chunk in chunks for each in client.get(f"{TASKS}/{chunk}/attempts/"))


def below(platform: Running) -> list[psutil.Process]:
    """All processes of the platform."""
    return psutil.Process(platform.process.pid).children(recursive=True)


def program_servers(platform: Running) -> list[psutil.Process]:
    """Those of attempts that run."""
    found = []
    for process in below(platform):
        with suppress(psutil.NoSuchProcess):
            found += [process] if process.name() == "lossline-progs" else []
    return found


def programs_running(platform: Running) -> bool:
    return any(children(server) for server in program_servers(platform))


def killed_with_programs(platform: Running) -> bool:
    """Kill one program server while programs of it have not ended: it is stopped first, so that it hears of no end."""
    for server in program_servers(platform):
        with suppress(psutil.NoSuchProcess):
            server.send_signal(signal.SIGSTOP)
            wait(lambda server=server: server.status() == psutil.STATUS_STOPPED, "the stop")  # type: ignore[misc]
            number = signal.SIGKILL if children(server) else signal.SIGCONT
            server.send_signal(number)
            if number == signal.SIGKILL:
                return True
    return False


def children(process: psutil.Process) -> list[psutil.Process]:
    """None for a process that has ended."""
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def parent_is_worker(process: psutil.Process) -> bool:
    """Whether it is the warm process itself: what it forks bears its command line too."""
    parent = process.parent()
    return parent is not None and words(parent).endswith("-m services.model_worker")


def words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def wait(reached: Callable[[], object], what: str, within: float = 90) -> None:
    """Wait for a condition; `within` in seconds."""
    deadline = time.monotonic() + within
    while not reached():
        assert time.monotonic() < deadline, f"waited {within:g} s for {what}"
        time.sleep(0.01)
