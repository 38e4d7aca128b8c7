"""A supervisor is killed with SIGKILL: what it started is gone within two seconds, or found by the next sweep."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.model_worker.processes import proc, sweep
from services.model_worker.processes.markers import worker_token
from services.model_worker.processes.sweep import sweep_attempt

PROGRAM = Path(__file__).with_name("supervisor_program.py")


@pytest.fixture
def supervisor(base, environ) -> Iterator[subprocess.Popen[bytes]]:
    with _supervisor(base, environ, "process_entries") as process:
        yield process
        process.kill()


def _supervisor(base: Path, environ: dict[str, str], preload: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, PROGRAM, base, preload], env=environ, stdout=subprocess.PIPE)


async def test_no_process_outlives_a_killed_supervisor(supervisor, eventually, living):
    facts = json.loads(supervisor.stdout.readline())
    everyone = [facts["fork_server"], *facts["guardians"], *facts["steps"]]
    assert living(everyone) == everyone
    assert len(facts["steps"]) >= 2 * 6

    supervisor.kill()

    await eventually(lambda: living(everyone) == [], within=2)


async def test_no_process_outlives_a_supervisor_whose_fork_server_was_killed_before(supervisor, eventually, living):
    facts = json.loads(supervisor.stdout.readline())
    os.kill(facts["fork_server"], signal.SIGKILL)
    await eventually(lambda: not living([facts["fork_server"]]))
    assert living(facts["steps"]) == facts["steps"]

    supervisor.kill()

    await eventually(lambda: living([*facts["guardians"], *facts["steps"]]) == [], within=2)


async def test_a_step_dies_with_its_guardian_even_when_the_supervisor_is_frozen(supervisor, eventually, living):
    facts = json.loads(supervisor.stdout.readline())
    supervisor.send_signal(signal.SIGSTOP)

    for guardian in facts["guardians"]:
        os.kill(guardian, signal.SIGKILL)

    await eventually(lambda: living(facts["step_processes"]) == [], within=2)


async def test_a_fork_server_that_is_still_importing_dies_with_the_supervisor(
    base, environ, tmp_path, eventually, living
):
    began = tmp_path / "began"
    with _supervisor(base, {**environ, "IMPORT_BEGAN": str(began)}, "slow_to_import") as process:
        await eventually(lambda: began.exists() and began.read_text())
        pid = int(began.read_text())
        assert living([pid]) == [pid]

        process.kill()

        await eventually(lambda: not living([pid]), within=2)


async def test_a_sweep_kills_what_frozen_guardians_left(supervisor, base, eventually, living, tmp_path):
    facts = json.loads(supervisor.stdout.readline())
    for guardian in facts["guardians"]:
        os.kill(guardian, signal.SIGSTOP)
    supervisor.kill()
    await eventually(lambda: not living([facts["fork_server"]]))
    leftovers = [*facts["guardians"], *facts["steps"]]
    assert living(leftovers) == leftovers

    elsewhere = sweep(tmp_path)
    swept = sweep(base)

    assert elsewhere == []
    assert set(leftovers) <= set(swept)
    await eventually(lambda: living(leftovers) == [], within=2)
    assert sweep(base) == []


async def test_forked_and_executed_processes_bear_the_name_of_their_attempt(server, make_spec, living):
    ours = await server.start(make_spec("plant_tree"))
    other = await server.start(make_spec("plant_tree"))
    tree, other_tree = json.loads(await ours.output.readline()), json.loads(await other.output.readline())

    swept = sweep_attempt(ours.attempt)

    assert {*tree, ours.guardian_pid} <= set(swept)
    assert living(tree) == []
    assert living(other_tree) == other_tree
    assert (await ours.wait()).lost_guardian


def test_one_directory_has_one_token_whatever_path_leads_to_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)

    assert worker_token(tmp_path / "link") == worker_token(tmp_path)
    assert worker_token(tmp_path) != worker_token(tmp_path.parent)


def test_descendants_are_found_without_the_kernel_s_list_of_children(monkeypatch):
    with subprocess.Popen(["sh", "-c", "sleep 3600 & echo $!; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        sleeper = int(shell.stdout.readline())

        listed = proc.descendants(shell.pid)
        monkeypatch.setattr(proc, "_kernel_lists_children", lambda: False)
        scanned = proc.descendants(shell.pid)

        os.kill(sleeper, signal.SIGKILL)
    assert listed == scanned == [sleeper]
