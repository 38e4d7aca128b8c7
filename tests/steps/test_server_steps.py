"""The steps of the internal worker with the real libraries; seconds each."""

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.model_worker.model_place import no_model
from services.model_worker.server_steps import combination, exposure_run, transformation, validation
from services.model_worker.step_contract import InputFile, StepContext, StepResult
from services.model_worker.steps import archives
from tests.steps.conftest import FILES

Step = Callable[[StepContext], StepResult]
Run = Callable[..., dict[str, Path]]


@pytest.fixture
def run(tmp_path: Path, kernel_programs_on_path: None) -> Run:
    """Run a step with these files in a directory of its own, as a worker would; its artifacts."""

    def start(step: Step, currency: str | None = None, **files: Path) -> dict[str, Path]:
        directory = tmp_path / f"attempt-{len(list(tmp_path.glob('attempt-*')))}"
        directory.mkdir()
        given = {name: InputFile(path, path.name) for name, path in files.items()}
        context = StepContext(
            "step", "step", 7, "c0ffee", directory, no_model(), files=given, reporting_currency=currency
        )
        before = Path.cwd()
        os.chdir(directory)
        try:
            return step(context).artifacts
        finally:
            os.chdir(before)

    return start


@pytest.fixture
def exposure(piwind: Path) -> dict[str, Path]:
    """The four exposure files of PiWind."""
    return {name: piwind / path for name, path in FILES.items() if name != "settings_file"}


def changed(source: Path, target: Path, **values: str) -> Path:
    """A copy of a csv file with other values in its first row."""
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= values
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return target


def ground_up(artifacts: dict[str, Path]) -> float:
    """The sum of the losses that an exposure run has left."""
    assert list(artifacts) == ["exposure_run"], artifacts["errors"].read_text()
    with artifacts["exposure_run"].open(newline="") as file:
        return sum(float(row["loss_gul"]) for row in csv.DictReader(file))


def written(path: Path, value: Any) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(value))
    return path


def test_valid_files_leave_nothing(run: Run, exposure: dict[str, Path]) -> None:
    assert run(validation.run, **exposure) == {}


def test_what_is_wrong_with_files_is_left_as_text(run: Run, exposure: dict[str, Path], tmp_path: Path) -> None:
    wrong = changed(exposure["location_file"], tmp_path / "wrong.csv", CountryCode="QQ", OccupancyCode="1")

    (errors,) = run(validation.run, **exposure | {"location_file": wrong}).values()

    assert "QQ" in errors.read_text()
    assert "occupancy" in errors.read_text().lower()


def test_a_file_that_cannot_be_read_is_an_error_of_the_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "location.parquet").write_bytes(b"no parquet")
    assert list(run(validation.run, location_file=tmp_path / "location.parquet")) == ["errors"]


def test_a_portfolio_without_files_is_not_valid(run: Run) -> None:
    (errors,) = run(validation.run).values()
    assert "no exposure file" in errors.read_text()


def test_no_memory_is_no_error_of_the_file(
    run: Run, exposure: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(**_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(validation, "OedExposure", exhausted)
    with pytest.raises(MemoryError):
        run(validation.run, **exposure)


def test_an_exposure_run_computes_the_losses_of_its_factor(run: Run, exposure: dict[str, Path], tmp_path: Path) -> None:
    params = written(tmp_path / "params.json", {"loss_factor": [0.5], "output_file": "/etc/no", "check_oed": None})

    whole, half = run(exposure_run.run, **exposure), run(exposure_run.run, exposure_params=params, **exposure)

    assert 0 < ground_up(whole) == pytest.approx(2 * ground_up(half))


def test_an_exposure_run_in_another_currency_has_other_losses(
    run: Run, exposure: dict[str, Path], tmp_path: Path
) -> None:
    rates = {"currency_conversion_type": "DictBasedCurrencyRates", "source_type": "list"}
    rates_file = written(tmp_path / "rates.json", rates | {"currency_rates": [["GBP", "USD", 2.0]]})

    pounds = run(exposure_run.run, **exposure)
    dollars = run(exposure_run.run, "USD", currency_conversion_json=rates_file, **exposure)

    assert 0 < 2 * ground_up(pounds) == pytest.approx(ground_up(dollars))


def test_an_exposure_run_of_wrong_parameters_says_so(run: Run, exposure: dict[str, Path], tmp_path: Path) -> None:
    params = written(tmp_path / "params.json", {"kernel_alloc_rule_il": 99})

    (errors,) = run(exposure_run.run, exposure_params=params, **exposure).values()

    assert "kernel_alloc_rule_il" in errors.read_text()


MAPPING = """
transform:
  PortNumber:
    - transformation: '1'
  LocNumber:
    - transformation: PLACE
  BuildingTIV:
    - transformation: VALUE * 2
types:
  PLACE: {type: string}
  VALUE: {type: float}
null_values: []
"""


def test_a_transformation_leaves_the_exposure_file_that_was_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "air.csv").write_text("PLACE,VALUE\nA1,100\nB2,250\n")
    params = written(tmp_path / "params.json", {"field": "location_file"})
    files = {"mapping_file": tmp_path / "mapping.yaml", "transform_file": tmp_path / "air.csv"}

    artifacts = run(transformation.run, transform_params=params, **files)

    assert list(artifacts) == ["location_file"]
    with artifacts["location_file"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["LocNumber"], float(row["BuildingTIV"])) for row in rows] == [("A1", 200), ("B2", 500)]


def test_a_transformation_by_something_that_is_no_mapping_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text("no mapping at all")
    (tmp_path / "air.csv").write_text("a,b\n1,2\n")
    params = written(tmp_path / "params.json", {"field": "location_file"})
    files = {"mapping_file": tmp_path / "mapping.yaml", "transform_file": tmp_path / "air.csv"}

    artifacts = run(transformation.run, transform_params=params, **files)

    assert list(artifacts) == ["errors"]
    assert "string indices must be integers" in artifacts["errors"].read_text()


def test_a_combination_gets_each_analysis_in_the_order_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The combining is the library's, and costs minutes of losses before it; what it is given is ours."""
    files = {"combine_config": written(tmp_path / "config.json", {"group_number_of_periods": 10})}
    for number in range(1, 12):
        for half, where in (("input", "occurrence.bin"), ("output", "output/gul_S1_melt.csv")):
            source = tmp_path / f"{half}-{number}" / where
            source.parent.mkdir(parents=True)
            source.write_text(str(number))
            root = tmp_path / f"{half}-{number}"
            files[f"{half}_file_{number}"] = archives.create(tmp_path / f"{half}-{number}.tar.gz", root)
    found = {}

    def combine(analysis_dirs: list[str], output_dir: str, group_number_of_periods: int, **_: Any) -> None:
        found["inputs"] = [Path(each, "input/occurrence.bin").read_text() for each in analysis_dirs]
        found["outputs"] = [Path(each, "output/gul_S1_melt.csv").read_text() for each in analysis_dirs]
        Path(output_dir).mkdir()
        Path(output_dir, "gplt.csv").write_text(str(group_number_of_periods))

    monkeypatch.setattr(combination, "combine", combine)
    artifacts = run(combination.run, **files)

    assert found["inputs"] == found["outputs"] == [str(number) for number in range(1, 12)]
    combined = archives.extract(artifacts["output_location"], tmp_path / "combined")
    assert (combined / "gplt.csv").read_text() == "10"
    assert artifacts["output_location"].name == "analysis_7_outputs.tar.gz"


def test_the_registry_has_every_step_that_the_plans_name() -> None:
    from services.model_worker.server_steps.registry import STEPS
    from shared.core.plan import plan_run
    from shared.core.states import SERVER_KINDS

    assert "oasislmf" in sys.modules
    assert set(STEPS) == {plan_run(kind, "queue", None, None)[0].step for kind in SERVER_KINDS}
