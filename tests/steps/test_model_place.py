import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.model_worker import model_place
from services.model_worker.model_place import ModelPlaceError, find_model_place

IDENTITY = {"OASIS_MODEL_SUPPLIER_ID": "Acme", "OASIS_MODEL_ID": "Storm", "OASIS_MODEL_VERSION_ID": "2"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(model_place, "SYSTEM_CONFIG", tmp_path / "system.json")
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def environ(model: Path, **more: str) -> dict[str, str]:
    return {**IDENTITY, "OASIS_MODEL_DATA_DIRECTORY": str(model), **more}


def test_the_configuration_is_searched_in_the_order_of_the_platform(model: Path, tmp_path: Path) -> None:
    in_order = [tmp_path / "own.json", model / "Storm-oasislmf.json", model / "oasislmf.json", tmp_path / "system.json"]
    for path in in_order:
        path.write_text("{}")

    for expected in in_order:
        place = find_model_place(environ(model, OASISLMF_CONFIG=str(tmp_path / "own.json")))
        assert place.config_path == expected
        expected.unlink()

    with pytest.raises(ModelPlaceError, match=r"no configuration.*own\.json.*Storm-oasislmf\.json.*system\.json"):
        find_model_place(environ(model, OASISLMF_CONFIG=str(tmp_path / "own.json")))


@pytest.mark.parametrize("name", ["OASISLMF_CONFIG", "OASIS_OASISLMF_CONFIG", "OASIS_WORKER_OASISLMF_CONFIG"])
def test_an_option_may_have_each_of_the_prefixes_of_the_platform(model: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "own.json").write_text("{}")

    assert find_model_place(environ(model, **{name: str(tmp_path / "own.json")})).config_path == tmp_path / "own.json"


def test_the_default_directory_is_that_of_the_worker_images(model: Path) -> None:
    model_place.SYSTEM_CONFIG.write_text("{}")

    assert find_model_place(IDENTITY).model_data_directory == Path("/home/worker/model")


@pytest.mark.parametrize("missing", sorted(IDENTITY))
def test_a_worker_that_does_not_know_its_model_says_which_variable_to_set(model: Path, missing: str) -> None:
    variables = environ(model)
    del variables[missing]

    with pytest.raises(ModelPlaceError, match=f"Set {missing}"):
        find_model_place(variables)


@pytest.mark.parametrize(("content", "complaint"), [("{", "not valid JSON"), ("[]", "must hold a JSON object")])
def test_a_broken_configuration_is_named(model: Path, content: str, complaint: str) -> None:
    (model / "oasislmf.json").write_text(content)

    with pytest.raises(ModelPlaceError, match=f"oasislmf.json.*{complaint}"):
        find_model_place(environ(model))


def test_model_settings_come_from_the_variable_then_the_configuration_then_the_usual_place(model: Path) -> None:
    (model / "oasislmf.json").write_text('{"MODEL_SETTINGS_JSON": "own/settings.json"}')
    assert find_model_place(environ(model)).model_settings_path is None
    for path in ("meta-data/model_settings.json", "own/settings.json", "variable.json"):
        (model / path).parent.mkdir(exist_ok=True)
        (model / path).write_text(json.dumps({"from": path}))
        variables = environ(model, MODEL_SETTINGS_FILE=str(model / path)) if path == "variable.json" else environ(model)

        place = find_model_place(variables)

        assert model_place.read_model_settings(place) == {"from": path}


def test_a_settings_variable_that_names_no_file_is_an_error(model: Path) -> None:
    (model / "oasislmf.json").write_text("{}")

    with pytest.raises(ModelPlaceError, match="MODEL_SETTINGS_FILE"):
        find_model_place(environ(model, MODEL_SETTINGS_FILE=str(model / "none.json")))


def test_the_example_model_is_found(piwind: Path, place_of: Callable[..., model_place.ModelPlace]) -> None:
    settings = model_place.read_model_settings(place_of(piwind))

    assert settings
    assert settings["model_default_samples"] == 10


def test_the_versions_are_those_that_the_server_records() -> None:
    versions = model_place.component_versions({})

    assert sorted(versions) == ["ktools", "oasislmf", "ods-tools", "oed-schema", "platform"]
    assert all(version.split(".")[0].isdigit() for version in versions.values())


def test_a_chosen_exposure_schema_is_reported() -> None:
    assert model_place.component_versions({"OASIS_OED_SCHEMA_INFO": "v3.0.2"})["oed-schema"] == "3.0.2"


def test_the_slim_supervisor_imports_no_model_code_with_it() -> None:
    program = (
        "import sys; from services.model_worker import model_place; from services.model_worker.steps import errors;"
        "model_place.component_versions({});"
        "sys.exit(bool({'oasislmf', 'ods_tools', 'pandas', 'numpy', 'numba'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
