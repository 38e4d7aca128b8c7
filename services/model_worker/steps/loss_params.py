"""prepare-losses-generation-params: resolve the parameters of the stage and check that the settings can be run."""

import logging
import os
from pathlib import Path
from typing import Any

from oasislmf.computation.run.generate_losses import GenerateOasisLosses

from services.model_worker.step_contract import StepContext, StepResult

from . import params, settings, workspace

COMPUTATION = GenerateOasisLosses
STATUS_URL = "OASIS_ANALYSIS_STATUS_URL"

MONITOR_INTERVAL = "resource_monitor_interval"
CHOSEN_BY_NOBODY = 1.0
"""Seconds: oasislmf's default."""
NOW_AND_THEN = 60.0
"""Seconds: ours."""


def run(context: StepContext) -> StepResult:
    """Leaves `params`. Raises MissingSamplesError or MissingFileError when the settings cannot be run."""
    settings_path = settings.place_for_losses(context, context.directory / "files")
    resolved = params.resolve(context.model, COMPUTATION, run_paths(context, settings_path))
    settings.fill_samples(settings_path, resolved.get("model_settings_json"))
    params.show(context, resolved)
    return StepResult({params.ARTIFACT: params.save(resolved, COMPUTATION, context.directory)})


def run_paths(context: StepContext, settings_path: Path) -> dict[str, Any]:
    """The parameters of the stage that are files of the attempt."""
    run_directory = context.directory / "run"
    return {
        "analysis_settings_json": str(settings_path),
        "oasis_files_dir": str(run_directory / "input"),
        "model_run_dir": str(run_directory),
        "user_data_dir": workspace.place_data_files(context, context.directory / "user-data"),
    }


def load(context: StepContext) -> params.Params:
    """The parameters of the stage for a later sub-task, with settings that name their number of samples.

    The kernel works in the attempt's own directory: its FIFOs are there, and the model's data is linked, never copied.
    """
    settings_path = settings.place_for_losses(context, context.directory / "files")
    loaded = params.load(context, COMPUTATION, run_paths(context, settings_path))
    settings.fill_samples(settings_path, loaded.get("model_settings_json"))
    return loaded | of_kernel(context, loaded)


def of_kernel(context: StepContext, resolved: params.Params) -> params.Params:
    """How every kernel runs here: its FIFOs in the run directory, the model's data linked, looked at now and then."""
    return {
        "kernel_fifo_relative": True,
        "copy_model_data": False,
        "verbose": context.debug,
        MONITOR_INTERVAL: monitor_interval(resolved.get(MONITOR_INTERVAL)),
    }


def monitor_interval(chosen: float | None) -> float:
    """Seconds between two looks of oasislmf at the processor and memory use of its programs.

    oasislmf looks every second where nobody has chosen, at all programs of the machine, once for each chunk: with two
    chunks on two cores that took 9 % of all processor time. The worker itself measures what attempts use.
    """
    return NOW_AND_THEN if chosen is None or float(chosen) == CHOSEN_BY_NOBODY else float(chosen)


def ping_params(context: StepContext) -> dict[str, str]:
    """The parameter that makes kernels report their progress, where there is somebody to report to.

    With nobody there, oasislmf tries a default address and logs an error for each attempt: it is silenced.
    """
    if os.environ.get(STATUS_URL):
        return {"analysis_pk": str(context.analysis_id)}
    logging.getLogger("oasislmf.utils.ping").setLevel(logging.CRITICAL)
    return {}
