"""pre-analysis-hook: let the model's own code change the exposure, and hand the changed files on."""

import filecmp
from pathlib import Path

from oasislmf.manager import OasisManager

from services.model_worker.step_contract import StepContext, StepResult

from . import archives, input_params, settings
from .errors import ModelFailedError
from .workspace import suffix

STEM_OF_SOURCE = {"location": "location", "account": "account", "ri_info": "reinsinfo", "ri_scope": "reinsscope"}


def run(context: StepContext) -> StepResult:
    """Leaves `pre_location`, `pre_account`, `pre_reinsinfo` and `pre_reinsscope`, as far as there are such files.

    If the hook edited the settings, leaves them as `settings_file`. Does nothing for a model without a hook.
    On failure, `output_location` holds what the hook saw and wrote.
    """
    params = input_params.load(context)
    if not params.get("exposure_pre_analysis_module"):
        return StepResult()
    hook_directory = context.directory / "hook"
    hook_directory.mkdir()
    try:
        outcome = OasisManager().exposure_pre_analysis(**{**params, "oasis_files_dir": str(hook_directory)})
    except Exception as error:
        tar = archives.create(context.directory / f"analysis_{context.analysis_id}_inputs.tar.gz", hook_directory)
        raise ModelFailedError(f"The pre-analysis hook failed: {error}", {"output_location": tar}) from error
    return StepResult(_exposure(context, hook_directory, outcome["modified"]) | _edited_settings(context, params))


def _exposure(context: StepContext, hook_directory: Path, modified: dict[str, str]) -> dict[str, Path]:
    """Rename what the hook wrote; its paths are relative to its own directory."""
    artifacts = {}
    for source, filename in modified.items():
        name = f"pre_{STEM_OF_SOURCE[source]}"
        artifacts[name] = (hook_directory / filename).rename(context.directory / f"{name}{suffix(filename)}")
    return artifacts


def _edited_settings(context: StepContext, params: dict[str, str]) -> dict[str, Path]:
    if "analysis_settings_json" not in params:
        return {}
    path = Path(params["analysis_settings_json"])
    if filecmp.cmp(path, context.files["settings_file"].path, shallow=False):
        return {}
    return {"settings_file": path.rename(context.directory / settings.FILENAME)}
