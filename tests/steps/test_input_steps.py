"""Input generation with the real oasislmf and PiWind; seconds each, as no kernel runs."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.model_worker.step_contract import InputFile
from services.model_worker.steps.errors import MissingFileError, ModelFailedError, NoKeysError

HOOK = """
import json


class ExposurePreAnalysis:
    def __init__(self, exposure_data, analysis_settings_json, **_):
        self.location = exposure_data.location
        self.settings = analysis_settings_json

    def run(self):
        self.location.dataframe["BuildingTIV"] *= 2
        with open(self.settings) as file:
            settings = json.load(file)
        with open(self.settings, "w") as file:
            json.dump({**settings, "analysis_tag": "hooked"}, file)
"""

AFTER_FILES = """
import pathlib


class PostFileGen:
    def __init__(self, input_dir, **_):
        self.input_dir = pathlib.Path(input_dir)

    def run(self):
        (self.input_dir / "after.txt").write_text(str((self.input_dir / "items.bin").is_file()))
"""


@pytest.fixture
def model_with(piwind: Path, tmp_path: Path) -> Callable[..., Path]:
    """PiWind with more options; values that are Python source become module files."""

    def make(**options: str) -> Path:
        directory = tmp_path / "model"
        directory.mkdir()
        for part in ("keys_data", "model_data", "meta-data"):
            (directory / part).symlink_to(piwind / part)
        config = json.loads((piwind / "oasislmf.json").read_text())
        for option, source in options.items():
            (directory / f"{option}.py").write_text(source)
            config[option] = f"{option}.py"
        (directory / "oasislmf.json").write_text(json.dumps(config))
        return directory

    return make


def archived(file: InputFile) -> set[str]:
    with tarfile.open(file.path) as tar:
        return {member.name for member in tar if member.isfile()}


def located(file: InputFile, tmp_path: Path) -> pd.DataFrame:
    shutil.unpack_archive(file.path, tmp_path / "inputs", "gztar")
    return pd.read_parquet(tmp_path / "inputs" / "location.parquet")


def test_the_inputs_archive_has_what_readers_of_the_platform_look_for(start_run) -> None:
    run = start_run()

    run.inputs(3)

    assert run.files["output_location"].filename == "analysis_7_inputs.tar.gz"
    assert archived(run.files["output_location"]) >= {
        "raw_location.csv",
        "raw_account.csv",
        "raw_reinsinfo.csv",
        "raw_reinsscope.csv",
        "location.parquet",
        "analysis_settings.json",
        "keys.csv",
        "keys-errors.csv",
        "items.bin",
        "coverages.bin",
        "fm_summary_map.csv",
        "gul_summary_map.csv",
        "RI_1/fm_xref.bin",
        "ri_layers.json",
        "log/v2-write-input-files.txt",
    }
    assert {name for name in run.files if name.startswith(("lookup_", "summary_", "analysis_"))} == {
        "lookup_error_location",
        "lookup_success_location",
        "lookup_validation_location",
        "summary_levels_location",
        "analysis_settings_location",
    }


def test_chunks_of_the_lookup_give_the_keys_of_one_lookup(start_run, tmp_path: Path) -> None:
    run = start_run()
    run.serial("prepare-input-generation-params")
    keys = []
    for chunks in (1, 4):
        run.parallel("prepare-keys-file", chunks)
        keys.append(_member(run.serial("collect-keys")["keys_data"], "keys.csv"))

    assert [files["chunk_keys"].filename for files in run.chunk_files][-1] == "lookup-4.tar.gz"
    assert len(keys[0].splitlines()) > 10
    assert keys[0] == keys[1]


def test_a_lookup_by_several_processes_writes_the_keys_in_the_order_of_one(
    start_run, piwind: Path, tmp_path: Path
) -> None:
    # Given more locations than oasislmf looks up in one process
    ten = pd.read_csv(piwind / "exposure" / "SourceLocOEDPiWind10.csv", dtype=str)
    many = pd.concat([ten.assign(LocNumber=ten["LocNumber"] + f"-{copy}") for copy in range(120)])
    many.to_csv(tmp_path / "many.csv", index=False)
    run = start_run(location_file=tmp_path / "many.csv")
    # When they are looked up by several processes, undivided in v1 and in v2, and by one in each of several chunks
    undivided = _member(run.attempt("generate-input")["output_location"], "keys.csv")
    keys = []
    run.serial("prepare-input-generation-params")
    for chunks in (1, 3):
        run.parallel("prepare-keys-file", chunks)
        keys.append(_member(run.serial("collect-keys")["keys_data"], "keys.csv"))
    # Then the keys are the same, in the same order
    assert len(keys[0].splitlines()) > len(many)
    assert keys[0] == keys[1]
    v1, v2 = (pd.read_csv(io.BytesIO(each)) for each in (undivided, keys[0]))
    pd.testing.assert_frame_equal(v1[v2.columns], v2)


def _member(archive: InputFile, name: str) -> bytes:
    with tarfile.open(archive.path) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read()


def test_a_chunk_without_locations_leaves_empty_tables(start_run) -> None:
    run = start_run()
    run.serial("prepare-input-generation-params")

    with tarfile.open(run.attempt("prepare-keys-file", 12, 13)["chunk_keys"].path) as tar:
        assert {member.name: member.size for member in tar} == {"keys.csv": 0, "keys-errors.csv": 0}


def test_without_a_hook_the_exposure_stays_what_was_uploaded(start_run) -> None:
    run = start_run()
    run.serial("prepare-input-generation-params")

    assert run.serial("pre-analysis-hook") == {}


def test_the_exposure_and_settings_of_a_hook_replace_what_was_uploaded(
    start_run, model_with: Callable[..., Path], piwind: Path, tmp_path: Path
) -> None:
    run = start_run(model_with(exposure_pre_analysis_module=HOOK, post_file_gen_module=AFTER_FILES))

    run.inputs(2)

    names = archived(run.files["output_location"])
    uploaded = pd.read_csv(piwind / "exposure" / "SourceLocOEDPiWind10.csv")
    assert {"pre_location.parquet", "pre_account.parquet", "after.txt"} <= names
    assert "raw_location.csv" not in names
    assert located(run.files["output_location"], tmp_path)["BuildingTIV"].sum() == 2 * uploaded["BuildingTIV"].sum()
    assert json.loads(run.files["analysis_settings_location"].path.read_text())["analysis_tag"] == "hooked"


def test_a_failing_hook_leaves_what_it_saw(start_run, model_with: Callable[..., Path]) -> None:
    run = start_run(model_with(exposure_pre_analysis_module="class ExposurePreAnalysis:\n    pass\n"))
    run.serial("prepare-input-generation-params")

    with pytest.raises(ModelFailedError, match="hook failed") as failure:
        run.serial("pre-analysis-hook")

    assert failure.value.artifacts["output_location"].name == "analysis_7_inputs.tar.gz"


def test_amounts_are_converted_to_the_reporting_currency(start_run, piwind: Path, tmp_path: Path) -> None:
    rates = tmp_path / "rates.json"
    rates.write_text(
        json.dumps(
            {
                "currency_conversion_type": "DictBasedCurrencyRates",
                "source_type": "list",
                "currency_rates": [["GBP", "USD", 2.0]],
            }
        )
    )
    run = start_run(currency_conversion_json=rates)
    run.reporting_currency = "USD"

    run.inputs(2)

    uploaded = pd.read_csv(piwind / "exposure" / "SourceLocOEDPiWind10.csv")
    report = json.loads(run.files["lookup_validation_location"].path.read_text())
    assert report["total"]["portfolio"]["tiv"] == pytest.approx(
        2 * uploaded.filter(regex="^(Building|Other|Contents|BI)TIV$").sum().sum()
    )


def test_a_portfolio_that_breaks_the_standard_fails_in_the_first_sub_task(
    start_run, piwind: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    table = pd.read_csv(piwind / "exposure" / "SourceLocOEDPiWind10.csv")
    table.assign(CountryCode="??").to_csv(broken, index=False)

    with pytest.raises(Exception, match="CountryCode"):
        start_run(location_file=broken).serial("prepare-input-generation-params")


def test_locations_without_keys_end_the_run_with_the_reasons(start_run, piwind: Path, tmp_path: Path) -> None:
    at_sea = tmp_path / "at-sea.csv"
    table = pd.read_csv(piwind / "exposure" / "SourceLocOEDPiWind10.csv")
    table.assign(Latitude=0.0, Longitude=0.0).to_csv(at_sea, index=False)
    run = start_run(location_file=at_sea)
    for step in ("prepare-input-generation-params", "pre-analysis-hook"):
        run.serial(step)
    run.parallel("prepare-keys-file", 2)
    run.serial("collect-keys")

    with pytest.raises(NoKeysError, match="no key for any location") as failure:
        run.serial("write-input-files")

    assert {name: path.name for name, path in failure.value.artifacts.items()} == {
        "output_location": "analysis_7_inputs.tar.gz",
        "lookup_error_location": "keys-errors.csv",
    }


def test_losses_without_inputs_are_refused(start_run) -> None:
    run = start_run()
    run.serial("prepare-losses-generation-params")

    with pytest.raises(MissingFileError, match="generate inputs before losses"):
        run.serial("prepare-losses-generation-directory")
