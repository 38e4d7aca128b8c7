"""prepare-input-generation-params: resolve the parameters of the stage, and check the exposure once for all."""

from pathlib import Path
from typing import Any

from oasislmf.computation.generate.files import GenerateFiles
from oasislmf.computation.run.generate_files import GenerateOasisFiles

from services.model_worker.step_contract import StepContext, StepResult

from . import exposure, params, settings, workspace

COMPUTATION = GenerateOasisFiles


def run(context: StepContext) -> StepResult:
    """Leaves `params`. A portfolio that breaks the exposure standard fails here, before any lookup."""
    resolved = params.resolve(context.model, COMPUTATION, run_paths(context))
    params.show(context, resolved)
    if resolved.get("check_oed", True):
        exposure.load(GenerateFiles(**resolved))
    stored = resolved | {"check_oed": False}
    return StepResult({params.ARTIFACT: params.save(stored, COMPUTATION, context.directory)})


def run_paths(
    context: StepContext, files: Path | None = None, *, copy: bool = False, uploaded: str = "raw_"
) -> dict[str, Any]:
    """The parameters of the stage that are files of the run, put below the attempt's directory, or below `files`.

    `copy` and `uploaded` as for `workspace.place_exposure`.
    """
    files = files or context.directory / "files"
    settings_path = settings.place(context, files)
    found = {
        **workspace.place_exposure(context, files, copy=copy, uploaded=uploaded),
        **workspace.place_currency(context, context.directory),
        "analysis_settings_json": settings_path and str(settings_path),
        "oasis_files_dir": str(files),
        "user_data_dir": workspace.place_data_files(context, context.directory / "user-data"),
    }
    # Through this one a custom lookup is told the settings of the analysis; without any, a vendor's own file serves.
    return found | ({"lookup_complex_config_json": str(settings_path)} if settings_path else {})


def load(context: StepContext, files: Path | None = None, *, copy: bool = False) -> params.Params:
    """The parameters of the stage for a later sub-task."""
    return params.load(context, COMPUTATION, run_paths(context, files, copy=copy))
