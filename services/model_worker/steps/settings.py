"""The analysis settings that a loss sub-task really works with.

A settings file may leave `number_of_samples` to the model, and may ask for perspectives that the portfolio cannot
give. oasislmf settles both while it prepares the run directory, but its chunked commands read the user's file again;
without the settled values they would draw no samples, or look for reinsurance that is not there. So the settled values
are written into the file that every later sub-task reads.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from services.model_worker.step_contract import StepContext

from .errors import MissingFileError, MissingSamplesError

Settings = dict[str, Any]

FILENAME = "analysis_settings.json"
OPTIONAL_PERSPECTIVES = ("il", "ri", "rl")

logger = logging.getLogger(__name__)


def place(context: StepContext, directory: Path) -> Path | None:
    """Copy the settings of the run into `directory`, where hooks may edit them; None if the run has none."""
    if "settings_file" not in context.files:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(context.files["settings_file"].path, directory / FILENAME))


def place_for_losses(context: StepContext, directory: Path) -> Path:
    """Like `place`, but the settings must be there. Raises MissingFileError."""
    settings = place(context, directory)
    if settings is None:
        raise MissingFileError("The analysis has no settings; upload a settings file and run it again.")
    return settings


def fill_samples(path: Path, model_settings: str | None) -> None:
    """Write the model's `model_default_samples` into a settings file that has no `number_of_samples` (0 is a number).

    Raises MissingSamplesError when neither file says how many.
    """
    settings = read(path)
    if settings.get("number_of_samples") is not None:
        return
    samples = read(Path(model_settings)).get("model_default_samples") if model_settings else None
    if samples is None:
        raise MissingSamplesError
    logger.info("The settings leave the number of samples to the model.", extra={"number_of_samples": samples})
    write(path, {**settings, "number_of_samples": samples})


def settle(settings: Settings, settled: Settings) -> Settings:
    """The user's settings without the perspectives that oasislmf switched off in its own copy, `settled`."""
    off = [name for name in OPTIONAL_PERSPECTIVES if not settled.get(f"{name}_output")]
    dropped = {f"{name}_{part}" for name in off for part in ("output", "summaries")}
    return {key: value for key, value in settings.items() if key not in dropped}


def read(path: Path) -> Settings:
    """Read a JSON object from a file."""
    settings: Settings = json.loads(path.read_text(encoding="utf-8"))
    return settings


def write(path: Path, settings: Settings) -> None:
    """Write a JSON object to a file, as oasislmf formats it."""
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=4), encoding="utf-8")
