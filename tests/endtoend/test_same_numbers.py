"""Any number of chunks gives the outputs of one machine."""

import csv
import json
import os
from pathlib import Path

import pytest

from services.embedded.demo import Portfolio, carry_out, fetch_outputs
from services.embedded.presentation.console import LiveProgress
from shared.core.plan import RunMode
from tests.endtoend.conftest import FILES, REFERENCE_PROCESSES, SETTINGS, Running

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]


@pytest.mark.parametrize(("lookups", "losses"), [(1, 1), (2, 3), (8, 8)])
def test_chunks_give_the_bytes_of_one_machine(
    platform: Running, reference: Path, tmp_path: Path, lookups: int, losses: int
) -> None:
    # Given the outputs of `oasislmf model run`, whose settings leave the number of samples to the model
    client = platform.client
    model_id = client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    # When the same files go through the platform in chunks
    with LiveProgress() as progress:
        analysis = carry_out(client, model_id, Portfolio(FILES, SETTINGS, lookups, losses), progress)
    # Then every sub-task completed
    assert analysis["status"] == "RUN_COMPLETED"
    assert analysis["status_count"]["COMPLETED"] == analysis["sub_task_count"] == lookups + losses + 11
    # And every output file is the same
    outputs = fetch_outputs(client, analysis["id"], tmp_path)
    processes = REFERENCE_PROCESSES if losses == 1 else losses
    assert_all_same(outputs, reference, exactly=processes == REFERENCE_PROCESSES)


def test_v1_gives_the_bytes_of_one_machine_and_shows_no_sub_tasks(
    platform: Running, reference: Path, tmp_path: Path
) -> None:
    # Given a worker of v1 beside that of v2
    client = platform.client
    model_id = client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    # When the files go through the platform undivided
    with LiveProgress() as progress:
        portfolio = Portfolio(FILES, SETTINGS, 1, 1, run_mode=RunMode.V1)
        analysis = carry_out(client, model_id, portfolio, progress)
    # Then it completed, and clients see what they know of v1
    assert (analysis["status"], analysis["run_mode"]) == ("RUN_COMPLETED", "V1"), platform.log.read_text()
    assert (analysis["sub_task_count"], analysis["status_count"]["TOTAL"]) == (0, 0)
    assert client.get(f"v2/analyses/{analysis['id']}/sub_task_list/") == []
    assert analysis["num_events_complete"] == analysis["num_events_total"] > 0
    for name in ("input_generation_traceback_file", "run_traceback_file"):
        assert client.text(f"v2/analyses/{analysis['id']}/{name}/")
    assert analysis["run_log_file"]
    # And every output file is the same
    outputs = fetch_outputs(client, analysis["id"], tmp_path)
    assert_all_same(outputs, reference, exactly=len(os.sched_getaffinity(0)) == REFERENCE_PROCESSES)


def assert_all_same(ours: Path, theirs: Path, *, exactly: bool) -> None:
    """The same files, as `assert_same` compares each."""
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}
    for path in sorted(theirs.iterdir()):
        assert_same(ours / path.name, path, exactly=exactly)


def assert_same(ours: Path, theirs: Path, *, exactly: bool) -> None:
    """The same bytes; settings the same JSON; psept to 1e-6 where other processes have summed."""
    if theirs.name == "analysis_settings.json":
        assert json.loads(ours.read_text()) == json.loads(theirs.read_text())
    elif "psept" in theirs.name and not exactly:
        assert_close(ours, theirs)
    else:
        assert ours.read_bytes() == theirs.read_bytes(), theirs.name


def assert_close(ours: Path, theirs: Path) -> None:
    """The same rows, numbers to 1e-6."""
    one, other = (list(csv.reader(path.read_text().splitlines())) for path in (ours, theirs))
    assert one[0] == other[0]
    assert len(one) == len(other)
    numbers = [[float(cell) for cell in row] for row in one[1:]]
    assert numbers == [pytest.approx([float(cell) for cell in row], rel=1e-6) for row in other[1:]], theirs.name
