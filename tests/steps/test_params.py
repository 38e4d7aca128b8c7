import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from oasislmf.computation.run.generate_losses import GenerateOasisLosses

from services.model_worker.step_contract import InputFile, ModelPlace, StepContext
from services.model_worker.steps import loss_params, params
from services.model_worker.steps.errors import MissingFileError

CONFIG = {
    "model_data_dir": "data",
    "model_settings_json": "settings.json",
    "ktools_alloc_rule_gul": 0,
    "gulmc": False,
    "analysis_settings_json": "vendor-test.json",
    "user_data_dir": "vendor-data",
    "oed_schema_info": "v4.0.0",
}


@pytest.fixture
def worker(tmp_path: Path, place_of: Callable[..., ModelPlace]) -> Callable[..., ModelPlace]:
    """A worker of a small model, installed below a directory of the given name."""

    def place(name: str, **config: Any) -> ModelPlace:
        directory = tmp_path / name
        (directory / "data").mkdir(parents=True)
        (directory / "oasislmf.json").write_text(json.dumps(CONFIG | config))
        (directory / "settings.json").write_text(json.dumps(MODEL_SETTINGS))
        (directory / "vendor-test.json").write_text("{}")
        return place_of(directory)

    return place


MODEL_SETTINGS = {"model_settings": {}, "lookup_settings": {"supported_perils": []}, "model_default_samples": 10}


def context(place: ModelPlace, directory: Path, stored: Path | None = None) -> StepContext:
    directory.mkdir(exist_ok=True)
    files = {params.ARTIFACT: InputFile(stored, stored.name)} if stored else {}
    return StepContext("generate-losses-chunk", "generate-losses-chunk-0", 7, "c0ffee", directory, place, files=files)


def resolve(place: ModelPlace, **run_paths: str | None) -> dict[str, Any]:
    return params.resolve(place, GenerateOasisLosses, run_paths)


def test_paths_of_the_configuration_are_relative_to_it(worker: Callable[..., ModelPlace], tmp_path: Path) -> None:
    assert resolve(worker("a"))["model_data_dir"] == str(tmp_path / "a" / "data")


def test_old_names_of_options_are_understood(worker: Callable[..., ModelPlace]) -> None:
    assert resolve(worker("a"))["kernel_alloc_rule_gul"] == 0


def test_files_that_a_vendor_configured_for_tests_are_not_those_of_the_run(worker: Callable[..., ModelPlace]) -> None:
    assert not {"analysis_settings_json", "user_data_dir"} & set(resolve(worker("a"), user_data_dir=None))


def test_the_environment_overrides_when_it_is_asked_to(
    worker: Callable[..., ModelPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OASIS_CHECK_MISSING_INPUTS", "true")
    place = worker("a")
    assert resolve(place)["check_missing_inputs"] is False

    monkeypatch.setenv("OASIS_ENV_OVERRIDE", "true")

    assert resolve(place)["check_missing_inputs"] is True


def test_computation_settings_of_the_analysis_override_the_configuration(
    worker: Callable[..., ModelPlace], tmp_path: Path
) -> None:
    settings = tmp_path / "analysis_settings.json"
    settings.write_text(
        json.dumps(
            {
                "model_supplier_id": "OasisLMF",
                "model_name_id": "PiWind",
                "model_settings": {},
                "gul_output": True,
                "gul_summaries": [{"id": 1, "ord_output": {"elt_moment": True}}],
                "computation_settings": {"gulmc": True},
            }
        )
    )

    assert resolve(worker("a"), analysis_settings_json=str(settings))["gulmc"] is True


def test_model_settings_are_found_although_the_configuration_does_not_name_them(
    worker: Callable[..., ModelPlace], tmp_path: Path
) -> None:
    place = replace(worker("a", model_settings_json=None), model_settings_path=tmp_path / "a" / "settings.json")

    assert resolve(place)["model_settings_json"] == str(tmp_path / "a" / "settings.json")


def test_what_is_stored_names_no_path_and_means_the_same_on_another_worker(
    worker: Callable[..., ModelPlace], tmp_path: Path
) -> None:
    first, second = worker("first"), worker("second", gulmc=True)
    here = resolve(first, model_run_dir=str(tmp_path / "first" / "run"))

    stored = params.save(here, GenerateOasisLosses, tmp_path)
    there = params.load(
        context(second, tmp_path / "attempt", stored), GenerateOasisLosses, {"model_run_dir": "/elsewhere/run"}
    )

    assert str(tmp_path) not in stored.read_text()
    assert there["model_data_dir"] == str(tmp_path / "second" / "data")
    assert there["model_settings_json"] == str(tmp_path / "second" / "settings.json")
    assert there["model_run_dir"] == "/elsewhere/run"
    assert there["oed_schema_info"] == "v4.0.0"
    assert there["gulmc"] is False, "what the run decided goes before this worker's configuration"


def test_a_schema_file_of_the_model_is_a_path_of_each_worker(worker: Callable[..., ModelPlace], tmp_path: Path) -> None:
    first, second = worker("first", oed_schema_info="oed.json"), worker("second", oed_schema_info="oed.json")
    for name in ("first", "second"):
        (tmp_path / name / "oed.json").write_text("{}")

    stored = params.save(resolve(first), GenerateOasisLosses, tmp_path)
    there = params.load(context(second, tmp_path / "attempt", stored), GenerateOasisLosses, {})

    assert there["oed_schema_info"] == str(tmp_path / "second" / "oed.json")


def test_a_step_without_parameters_says_so(worker: Callable[..., ModelPlace], tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="generate-losses-chunk-0"):
        params.load(context(worker("a"), tmp_path / "attempt"), GenerateOasisLosses, {})


def test_the_exact_parameters_are_logged_when_debugging(
    worker: Callable[..., ModelPlace], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = context(worker("a"), tmp_path / "attempt")
    caplog.set_level("INFO", logger=params.__name__)

    params.show(quiet, {"gulmc": True})
    assert not caplog.messages
    params.show(replace(quiet, debug=True), {"gulmc": True})

    assert json.loads(caplog.messages[0].partition(": ")[2]) == {"gulmc": True}


@pytest.mark.parametrize(("chosen", "seconds"), [({}, 60), ({"resource_monitor_interval": 5}, 5)])
def test_oasislmf_looks_at_its_programs_once_a_minute_unless_the_model_says_otherwise(
    worker: Callable[..., ModelPlace], tmp_path: Path, chosen: dict[str, float], seconds: float
) -> None:
    place = worker("a", **chosen)

    kernel = loss_params.of_kernel(context(place, tmp_path / "attempt"), resolve(place))

    assert kernel["resource_monitor_interval"] == seconds
