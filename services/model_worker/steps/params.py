"""The parameters of a stage: resolved once, stored without any path, completed again on each worker.

`params.json` holds what the run decided. Where things lie is decided by whoever asks: model paths come from the
configuration of the worker at hand, run paths from the attempt at hand. So a stored file means the same everywhere.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oasislmf.computation.base import ComputationStep
from oasislmf.utils.inputs import update_config

from services.model_worker.model_place import read_config
from services.model_worker.step_contract import ModelPlace, StepContext

from .errors import MissingFileError

Params = dict[str, Any]

ARTIFACT = "params"
FILENAME = "params.json"

NEVER_FROM_CONFIG = frozenset(
    {
        "oed_location_csv",
        "oed_accounts_csv",
        "oed_info_csv",
        "oed_scope_csv",
        "analysis_settings_json",
        "reporting_currency",
        "currency_conversion_json",
        "user_data_dir",
    }
)
"""Options of an oasislmf.json that belong to the analysis: what a vendor left there for tests must not be used."""

MAYBE_PATHS = frozenset({"oed_schema_info"})
"""Options that are a path or something else (here: a version), so that oasislmf does not declare them as paths."""

logger = logging.getLogger(__name__)


def resolve(place: ModelPlace, computation: type[ComputationStep], run_paths: Mapping[str, Any]) -> Params:
    """All parameters of a computation on this worker, from configuration, environment, settings and run."""
    config = {name: value for name, value in read_config(place.config_path).items() if name not in NEVER_FROM_CONFIG}
    if place.model_settings_path and not config.get("model_settings_json"):
        config["model_settings_json"] = str(place.model_settings_path)
    config.setdefault("oed_schema_info", os.environ.get("OASIS_OED_SCHEMA_INFO") or None)
    config = _absolute(update_config(config), computation, place.config_path.parent)
    params = computation.get_arguments(**{**config, **run_paths})
    params = _absolute(params, computation, place.config_path.parent)
    return {name: value for name, value in params.items() if value is not None}


def save(params: Params, computation: type[ComputationStep], directory: Path) -> Path:
    """Write what does not depend on this worker or attempt to `params.json` in `directory`."""
    target = directory / FILENAME
    target.write_text(json.dumps(portable(params, declared_paths(computation)), indent=2), encoding="utf-8")
    return target


def load(context: StepContext, computation: type[ComputationStep], run_paths: Mapping[str, Any]) -> Params:
    """The stored parameters of the run, with model paths of this worker and the given paths of this attempt."""
    if ARTIFACT not in context.files:
        raise MissingFileError(f"The sub-task {context.slug} was handed no {ARTIFACT}; its stage must be run again.")
    stored: Params = json.loads(context.files[ARTIFACT].path.read_text(encoding="utf-8"))
    here = resolve(context.model, computation, run_paths)
    params = {name: value for name, value in here.items() if name not in portable(here, declared_paths(computation))}
    params |= stored | dict(run_paths)
    params = {name: value for name, value in params.items() if value is not None}
    show(context, params)
    return params


def show(context: StepContext, params: Params) -> None:
    """Log the exact parameters, if the worker was asked to (OASIS_DEBUG)."""
    if context.debug:
        logger.info("Parameters of %s: %s", context.slug, json.dumps(params, indent=2, default=str, sort_keys=True))


def declared_paths(computation: type[ComputationStep]) -> frozenset[str]:
    """Names of the parameters that oasislmf declares as paths."""
    return frozenset(param["name"] for param in computation.get_params() if param.get("is_path"))


def portable(params: Params, paths: frozenset[str]) -> Params:
    """The parameters that mean the same on every worker: no declared path and no absolute path."""
    return {name: value for name, value in params.items() if name not in paths and not _is_absolute(value)}


def _absolute(params: Params, computation: type[ComputationStep], root: Path) -> Params:
    """Relative paths of a configuration are relative to its own directory."""
    paths = declared_paths(computation)
    return {
        name: str(root / value) if _is_relative_path(name, value, paths, root) else value
        for name, value in params.items()
    }


def _is_relative_path(name: str, value: Any, paths: frozenset[str], root: Path) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return name in paths or (name in MAYBE_PATHS and (root / value).is_file())


def _is_absolute(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()
