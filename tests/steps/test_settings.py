import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.model_worker.step_contract import InputFile, ModelPlace, StepContext
from services.model_worker.steps import loss_params, settings
from services.model_worker.steps.errors import MissingFileError, MissingSamplesError


def written(path: Path, content: dict[str, object]) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [({}, 10), ({"number_of_samples": None}, 10), ({"number_of_samples": 0}, 0), ({"number_of_samples": 5}, 5)],
)
def test_the_model_says_how_many_samples_if_the_settings_do_not(
    tmp_path: Path, analysis: dict[str, object], expected: int
) -> None:
    path = written(tmp_path / "analysis.json", {"gul_output": True, **analysis})
    model = written(tmp_path / "model.json", {"model_default_samples": 10})

    settings.fill_samples(path, str(model))

    assert settings.read(path) == {"gul_output": True, "number_of_samples": expected}


def test_a_model_may_say_that_it_draws_no_samples(tmp_path: Path) -> None:
    path = written(tmp_path / "analysis.json", {})

    settings.fill_samples(path, str(written(tmp_path / "model.json", {"model_default_samples": 0})))

    assert settings.read(path) == {"number_of_samples": 0}


@pytest.mark.parametrize("model", [None, {}])
def test_if_nobody_says_how_many_samples_the_run_fails(tmp_path: Path, model: dict[str, object] | None) -> None:
    path = written(tmp_path / "analysis.json", {})
    model_path = None if model is None else str(written(tmp_path / "model.json", model))

    with pytest.raises(MissingSamplesError, match=r"number_of_samples.*model_default_samples"):
        settings.fill_samples(path, model_path)


def test_perspectives_that_the_portfolio_cannot_give_are_dropped() -> None:
    requested = {"gul_output": True, "il_output": True, "il_summaries": [1], "ri_output": True, "ri_summaries": [2]}
    decided = {"gul_output": True, "il_output": True, "ri_output": False, "ri_summaries": [], "rl_output": False}

    assert settings.settle(requested, decided) == {"gul_output": True, "il_output": True, "il_summaries": [1]}


LOSS_STEPS = ["prepare-losses-generation-directory", "generate-losses-chunk", "generate-losses-output"]


@pytest.mark.parametrize("step", LOSS_STEPS)
def test_every_loss_sub_task_works_with_the_samples_of_the_model(
    piwind: Path, place_of: Callable[..., ModelPlace], tmp_path: Path, step: str
) -> None:
    settings_file = InputFile(piwind / "analysis_settings.json", "analysis_settings.json")
    assert "number_of_samples" not in settings.read(settings_file.path)

    def context(name: str, **files: InputFile) -> StepContext:
        (tmp_path / name).mkdir()
        files["settings_file"] = settings_file
        return StepContext(name, name, 7, "c0ffee", tmp_path / name, place_of(piwind), files=files)

    first = loss_params.run(context("prepare-losses-generation-params"))
    params = InputFile(first.artifacts["params"], "params.json")
    loaded = loss_params.load(context(step, params=params))

    assert settings.read(Path(loaded["analysis_settings_json"]))["number_of_samples"] == 10


def test_losses_without_settings_are_refused(piwind: Path, place_of: Callable[..., ModelPlace], tmp_path: Path) -> None:
    context = StepContext("s", "s", 7, "c0ffee", tmp_path, place_of(piwind))

    with pytest.raises(MissingFileError, match="no settings"):
        loss_params.run(context)
