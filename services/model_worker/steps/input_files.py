"""write-input-files: generate the files that the loss kernel reads, from the exposure and the collected keys."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oasislmf.manager import OasisManager
from oasislmf.utils.exceptions import OasisExceptionNoKeys

from services.model_worker.step_contract import StepContext, StepResult

from . import archives, input_params, settings
from .errors import MissingFileError, ModelFailedError, NoKeysError

RESULTS = {
    "lookup_error_location": "keys-errors.csv",
    "lookup_success_location": "gul_summary_map.csv",
    "lookup_validation_location": "exposure_summary_report.json",
    "summary_levels_location": "exposure_summary_levels.json",
    "analysis_settings_location": settings.FILENAME,
}
"""Artifact: file among the generated ones. A file that a setting has switched off is no artifact."""

PARTIAL = ("lookup_error_location",)
"""What is kept beside the archive when the generation fails."""


def run(context: StepContext) -> StepResult:
    """Leaves `output_location` (all files, at the root of analysis_{id}_inputs.tar.gz) and the files of RESULTS.

    Raises NoKeysError when no location was found, ModelFailedError on any other failure; both carry what there is.
    """
    if "keys_data" not in context.files:
        raise MissingFileError("write-input-files was handed no keys_data; the lookup must be run again.")
    files = archives.extract(context.files["keys_data"].path, context.directory / "input-files")
    return generated(context, files, f"v2-{context.slug}.txt", lambda: _generate(context, files))


def generated(context: StepContext, files: Path, log: str, generate: Callable[[], None]) -> StepResult:
    """What `generate` leaves in `files`, its log `log` in the archive too. Raises as `run` does."""
    try:
        with _log_copy(files / "log" / log):
            generate()
    except OasisExceptionNoKeys as error:
        raise NoKeysError(artifacts=_collect(context, files, PARTIAL)) from error
    except Exception as error:
        raise ModelFailedError(
            f"Input files cannot be generated: {error}", _collect(context, files, PARTIAL)
        ) from error
    return StepResult(_collect(context, files, tuple(RESULTS)))


def _generate(context: StepContext, files: Path) -> None:
    params = input_params.load(context, files, copy=True) | {
        "oasis_files_dir": str(files),
        "keys_data_path": str(files / "keys.csv"),
        "keys_errors_path": str(files / "keys-errors.csv"),
    }
    OasisManager().generate_files(**params)
    if params.get("post_file_gen_module"):
        OasisManager().post_file_gen(**params)


def _collect(context: StepContext, files: Path, names: tuple[str, ...]) -> dict[str, Path]:
    archive = context.directory / f"analysis_{context.analysis_id}_inputs.tar.gz"
    found = {name: files / RESULTS[name] for name in names if (files / RESULTS[name]).is_file()}
    return {"output_location": archives.create(archive, files, level=archives.SMALL), **found}


@contextmanager
def _log_copy(path: Path) -> Iterator[None]:
    """Keep the log of the generation in the archive too, where users of the platform look for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
