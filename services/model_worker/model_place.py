"""Finds the model that this worker serves, and what it says about itself, without importing oasislmf or pandas.

The names of the variables and the order of the search are those of the Oasis platform (oasis_api.md section 7.3).
"""

import importlib.metadata
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from .step_contract import ModelPlace

DEFAULT_MODEL_DIRECTORY = "/home/worker/model"
CONFIG_FILENAME = "oasislmf.json"
SYSTEM_CONFIG = Path("/var/oasis/oasislmf.json")
SETTINGS_IN_MODEL = Path("meta-data/model_settings.json")
IDENTITY = ("OASIS_MODEL_SUPPLIER_ID", "OASIS_MODEL_ID", "OASIS_MODEL_VERSION_ID")


class ModelPlaceError(Exception):
    """The worker's model cannot be found or read."""


def find_model_place(environ: Mapping[str, str]) -> ModelPlace:
    """Find the model from the worker's environment. Raises ModelPlaceError with one sentence on what is missing."""
    supplier_id, model_id, version_id = (_required(environ, name) for name in IDENTITY)
    directory = Path(_option(environ, "MODEL_DATA_DIRECTORY") or DEFAULT_MODEL_DIRECTORY).absolute()
    config_path = _find_config(_option(environ, "OASISLMF_CONFIG"), directory, model_id)
    config = read_config(config_path)
    return ModelPlace(
        supplier_id=supplier_id,
        model_id=model_id,
        version_id=version_id,
        model_data_directory=directory,
        config_path=config_path,
        model_settings_path=_find_settings(_option(environ, "MODEL_SETTINGS_FILE"), directory, config_path, config),
    )


def no_model() -> ModelPlace:
    """What the internal worker has instead of a model: its steps read nothing of it."""
    nowhere = Path("/nonexistent")
    return ModelPlace("OasisLMF", "internal-worker", "1", nowhere, nowhere / CONFIG_FILENAME, None)


def read_config(path: Path) -> dict[str, Any]:
    """Read an oasislmf.json; its keys are lower-cased, as the `oasislmf` command does. Raises ModelPlaceError."""
    return {key.lower(): value for key, value in _read_object(path).items()}


def read_model_settings(place: ModelPlace) -> dict[str, Any] | None:
    """The model's settings for its registration; None if it has none. Raises ModelPlaceError."""
    return _read_object(place.model_settings_path) if place.model_settings_path else None


def component_versions(environ: Mapping[str, str]) -> dict[str, str]:
    """Versions that a worker registers with its model (oasis_api.md section 3).

    The kernel that used to be `ktools` is part of oasislmf since 2.5, and has its version.
    """
    oasislmf = importlib.metadata.version("oasislmf")
    return {
        "oasislmf": oasislmf,
        "ktools": oasislmf,
        "platform": importlib.metadata.version("lossline"),
        "ods-tools": importlib.metadata.version("ods-tools"),
        "oed-schema": environ.get("OASIS_OED_SCHEMA_INFO", "").removeprefix("v") or _newest_oed_schema(),
    }


def _find_config(configured: str | None, directory: Path, model_id: str) -> Path:
    candidates = [directory / f"{model_id}-{CONFIG_FILENAME}", directory / CONFIG_FILENAME, SYSTEM_CONFIG]
    if configured:
        candidates.insert(0, Path(configured).absolute())
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise ModelPlaceError(f"The model {model_id} has no configuration: put an oasislmf.json at one of {looked}.")


def _find_settings(
    configured: str | None, directory: Path, config_path: Path, config: Mapping[str, Any]
) -> Path | None:
    if configured:
        path = Path(configured).absolute()
        if not path.is_file():
            raise ModelPlaceError(f"MODEL_SETTINGS_FILE names {path}, which is not a file.")
        return path
    candidates = [directory / SETTINGS_IN_MODEL]
    if isinstance(config.get("model_settings_json"), str):
        candidates.insert(0, config_path.parent / config["model_settings_json"])
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _option(environ: Mapping[str, str], name: str) -> str | None:
    """An option of the reference's section "worker": specific before general (oasis_api.md section 7)."""
    names = (f"OASIS_WORKER_{name}", f"OASIS_{name}", name)
    return next((environ[candidate] for candidate in names if environ.get(candidate)), None)


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise ModelPlaceError(f"Set {name}: a worker must know which model it serves.")
    return environ[name]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelPlaceError(f"The file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ModelPlaceError(f"The file {path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ModelPlaceError(f"The file {path} must hold a JSON object, not a {type(content).__name__}.")
    return content


def _newest_oed_schema() -> str:
    """The version of the newest schema file that ods-tools brings; it is the one that ods-tools uses by default."""
    names = (PurePath(file).name for file in importlib.metadata.files("ods-tools") or ())
    found = (re.fullmatch(r"OpenExposureData_(\d+)\.(\d+)\.(\d+)Spec\.json", name) for name in names)
    versions = [tuple(map(int, match.groups())) for match in found if match]
    return ".".join(map(str, max(versions))) if versions else ""
