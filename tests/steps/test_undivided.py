"""The steps of v1: a phase each, as the undivided command does it."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.model_worker.step_contract import InputFile
from services.model_worker.steps.errors import ModelFailedError, NoKeysError
from tests.steps.conftest import LocalRun

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(1200)]


def extracted(file: InputFile, target: Path) -> Path:
    shutil.unpack_archive(file.path, target, "gztar")
    return target


def test_locations_at_sea_end_the_run_without_keys(
    start_run: Callable[..., LocalRun], piwind: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(piwind / "exposure" / "SourceLocOEDPiWind10.csv")
    table.assign(Latitude=0.0, Longitude=0.0).to_csv(tmp_path / "at-sea.csv", index=False)
    run = start_run(location_file=tmp_path / "at-sea.csv")

    with pytest.raises(NoKeysError) as failure:
        run.serial("generate-input")

    assert set(failure.value.artifacts) == {"output_location", "lookup_error_location"}


def test_the_archive_of_inputs_has_the_uploads_under_their_plain_names(
    start_run: Callable[..., LocalRun], tmp_path: Path
) -> None:
    left = start_run().serial("generate-input")

    assert {name: file.filename for name, file in left.items()} == {
        "output_location": "analysis_7_inputs.tar.gz",
        "lookup_error_location": "keys-errors.csv",
        "lookup_success_location": "gul_summary_map.csv",
        "lookup_validation_location": "exposure_summary_report.json",
        "summary_levels_location": "exposure_summary_levels.json",
        "analysis_settings_location": "analysis_settings.json",
    }
    files = extracted(left["output_location"], tmp_path / "inputs")
    assert {"location.csv", "account.csv", "reinsinfo.csv", "reinsscope.csv"} <= {path.name for path in files.iterdir()}
    assert (files / "log" / "analysis_7_generate-input.log").is_file()


def test_a_failing_kernel_leaves_its_logs(start_run: Callable[..., LocalRun], tmp_path: Path) -> None:
    run = start_run()
    run.serial("generate-input")
    files = extracted(run.files["output_location"], tmp_path / "inputs")
    (files / "coverages.bin").write_bytes(b"broken")
    (files / "items.bin").write_bytes(b"broken")
    with tarfile.open(run.files["output_location"].path, "w:gz") as tar:
        tar.add(files, arcname=".")

    with pytest.raises(ModelFailedError, match="losses cannot be computed") as failure:
        run.serial("run-analysis")

    assert set(failure.value.artifacts) == {"output_location", "run_logs"}
