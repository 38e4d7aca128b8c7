"""Any number of chunks, warm or plain programs, v1 and v2: the outputs are those of one machine."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences, other_bytes
from services.embedded.demo import Portfolio, fetch_outputs, submit
from shared.core.plan import RunMode
from tests.endtoend.conftest import REFERENCE_PROCESSES, Running, ended, lossline_up

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]

ALL_CORES_MAKE_THE_SAME_SUMS = len(os.sched_getaffinity(0)) == REFERENCE_PROCESSES
"""Where the undivided command has been given as many processes as a run that is not divided takes."""


@pytest.mark.parametrize(("lookups", "losses"), [(1, 1), (2, 2), (2, 3), (8, 8), (1, 32)])
def test_chunks_give_the_outputs_of_one_machine(
    platform: Running, references: dict[str, Path], cases: dict[str, Case], tmp_path: Path, lookups: int, losses: int
) -> None:
    # When the files of which `oasislmf model run` has made outputs go through the platform in chunks
    analyses = carried_out(platform, cases, lookups, losses)
    for model, analysis in analyses.items():
        # Then every sub-task completed
        assert analysis["status"] == "RUN_COMPLETED", model
        assert analysis["status_count"]["COMPLETED"] == analysis["sub_task_count"] == lookups + losses + 11, model
        # And every output file is the same
        exactly = losses == 1 and ALL_CORES_MAKE_THE_SAME_SUMS
        outputs = fetch_outputs(platform.client, analysis["id"], tmp_path / model)
        assert differences(outputs, references[model], exactly=exactly) == [], model
    # And of PiWind, whose rows come in the order of events, the same bytes
    assert other_bytes(tmp_path / "piwind" / "output", references["piwind"]) == []


def test_v1_gives_the_outputs_of_one_machine_and_shows_no_sub_tasks(
    platform: Running, references: dict[str, Path], cases: dict[str, Case], tmp_path: Path
) -> None:
    # When the files go through the platform undivided, on the workers of v1 beside those of v2
    client = platform.client
    for model, analysis in carried_out(platform, cases, 1, 1, RunMode.V1).items():
        # Then it completed, and clients see what they know of v1
        assert (analysis["status"], analysis["run_mode"]) == ("RUN_COMPLETED", "V1"), platform.log.read_text()
        assert (analysis["sub_task_count"], analysis["status_count"]["TOTAL"]) == (0, 0), model
        assert client.get(f"v2/analyses/{analysis['id']}/sub_task_list/") == [], model
        assert analysis["num_events_complete"] == analysis["num_events_total"] > 0, model
        for name in ("input_generation_traceback_file", "run_traceback_file"):
            assert client.text(f"v2/analyses/{analysis['id']}/{name}/"), model
        assert analysis["run_log_file"], model
        # And every output file is the same
        outputs = fetch_outputs(client, analysis["id"], tmp_path / model)
        assert differences(outputs, references[model], exactly=ALL_CORES_MAKE_THE_SAME_SUMS) == [], model


def test_plain_programs_give_the_outputs_of_one_machine(
    references: dict[str, Path], cases: dict[str, Case], environ: dict[str, str], home: Path, tmp_path: Path
) -> None:
    # Given workers that start every program plain
    plain = environ | {"OASIS_WORKER_WARM_PROGRAMS": "off"}
    with lossline_up(cases.values(), home / "plain", plain, ["v2"]) as running:
        # When the files go through them
        for model, analysis in carried_out(running, cases, 1, 2).items():
            # Then every output file is the same
            assert analysis["status"] == "RUN_COMPLETED", model
            outputs = fetch_outputs(running.client, analysis["id"], tmp_path / model)
            assert differences(outputs, references[model]) == [], model


def carried_out(
    platform: Running, cases: dict[str, Case], lookups: int, losses: int, run_mode: RunMode = RunMode.V2
) -> dict[str, dict[str, Any]]:
    """An analysis of each case as it has ended. They run side by side: steps that are one process leave half idle."""

    def carried(case: Case) -> dict[str, Any]:
        client = platform.client
        model_id = client.wait_for_model(*case.identity, within=60)
        portfolio = Portfolio(case.exposure, case.settings, lookups, losses, run_mode=run_mode)
        analysis = ended(client, submit(client, model_id, portfolio))
        if analysis["status"] == "READY":  # in v1 each phase is asked for by itself
            client.post(f"v2/analyses/{analysis['id']}/run/?run_mode_override=V1")
            analysis = ended(client, analysis["id"])
        return analysis

    with ThreadPoolExecutor(len(cases)) as pool:
        return dict(zip(cases, pool.map(carried, cases.values()), strict=True))
