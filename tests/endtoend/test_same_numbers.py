"""Any number of chunks, warm or plain programs, v1 and v2: the outputs are those of one machine."""

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences, other_bytes
from services.embedded.client import ApiClient
from services.embedded.demo import Portfolio, carry_out, fetch_outputs
from services.embedded.presentation.console import LiveProgress
from shared.core.plan import RunMode
from tests.endtoend.conftest import REFERENCE_PROCESSES, Running, lossline_up

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]

MODELS = ("piwind", "example")
ALL_CORES_MAKE_THE_SAME_SUMS = len(os.sched_getaffinity(0)) == REFERENCE_PROCESSES
"""Where the undivided command has been given as many processes as a run that is not divided takes."""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("lookups", "losses"), [(1, 1), (2, 2), (2, 3), (8, 8), (1, 32)])
def test_chunks_give_the_outputs_of_one_machine(
    platform: Running,
    references: dict[str, Path],
    cases: dict[str, Case],
    tmp_path: Path,
    model: str,
    lookups: int,
    losses: int,
) -> None:
    # When the files of which `oasislmf model run` has made outputs go through the platform in chunks
    analysis = carried_out(platform.client, cases[model], lookups, losses)
    # Then every sub-task completed
    assert analysis["status"] == "RUN_COMPLETED"
    assert analysis["status_count"]["COMPLETED"] == analysis["sub_task_count"] == lookups + losses + 11
    # And every output file is the same
    exactly = losses == 1 and ALL_CORES_MAKE_THE_SAME_SUMS
    outputs = fetch_outputs(platform.client, analysis["id"], tmp_path)
    assert differences(outputs, references[model], exactly=exactly) == []
    # And of PiWind, whose rows come in the order of events, the same bytes
    if model == "piwind":
        assert other_bytes(outputs, references[model]) == []


@pytest.mark.parametrize("model", MODELS)
def test_v1_gives_the_outputs_of_one_machine_and_shows_no_sub_tasks(
    platform: Running, references: dict[str, Path], cases: dict[str, Case], tmp_path: Path, model: str
) -> None:
    # When the files go through the platform undivided, on the worker of v1 beside that of v2
    client = platform.client
    analysis = carried_out(client, cases[model], 1, 1, RunMode.V1)
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
    assert differences(outputs, references[model], exactly=ALL_CORES_MAKE_THE_SAME_SUMS) == []


def test_plain_programs_give_the_outputs_of_one_machine(
    references: dict[str, Path], cases: dict[str, Case], environ: dict[str, str], home: Path, tmp_path: Path
) -> None:
    # Given workers that start every program plain
    plain = environ | {"OASIS_WORKER_WARM_PROGRAMS": "off"}
    with lossline_up(cases.values(), home / "plain", plain, ["v2"]) as running:
        for model in MODELS:
            # When the files go through them
            analysis = carried_out(running.client, cases[model], 1, 2)
            # Then every output file is the same
            assert analysis["status"] == "RUN_COMPLETED"
            outputs = fetch_outputs(running.client, analysis["id"], tmp_path / model)
            assert differences(outputs, references[model]) == []


def carried_out(
    client: ApiClient, case: Case, lookups: int, losses: int, run_mode: RunMode = RunMode.V2
) -> dict[str, Any]:
    """The analysis as it has ended."""
    model_id = client.wait_for_model(*case.identity, within=60)
    with LiveProgress() as progress:
        portfolio = Portfolio(case.exposure, case.settings, lookups, losses, run_mode=run_mode)
        return carry_out(client, model_id, portfolio, progress)
