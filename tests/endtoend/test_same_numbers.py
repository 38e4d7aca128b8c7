"""Any number of chunks gives the outputs of one machine."""

import csv
import json
from pathlib import Path

import pytest

from services.embedded.demo import Portfolio, fetch_outputs, follow, submit
from services.embedded.presentation.console import LiveProgress
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
    analysis_id = submit(client, model_id, Portfolio(FILES, SETTINGS, lookups, losses))
    with LiveProgress() as progress:
        analysis = follow(client, analysis_id, progress)
    # Then every sub-task completed
    assert analysis["status"] == "RUN_COMPLETED"
    assert analysis["status_count"]["COMPLETED"] == analysis["sub_task_count"] == lookups + losses + 11
    # And every output file is the same
    outputs = fetch_outputs(client, analysis_id, tmp_path)
    assert {path.name for path in outputs.iterdir()} == {path.name for path in reference.iterdir()}
    processes = REFERENCE_PROCESSES if losses == 1 else losses
    for path in sorted(reference.iterdir()):
        assert_same(outputs / path.name, path, exactly=processes == REFERENCE_PROCESSES)


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
