"""prepare-losses-generation-directory: everything that the kernel chunks need, prepared once."""

from pathlib import Path

from oasislmf.manager import OasisManager

from services.model_worker.step_contract import InputFile, StepContext, StepResult

from . import archives, loss_params, run_directory, settings
from .errors import MissingFileError


def run(context: StepContext) -> StepResult:
    """Leaves `run_location`: run_directory.tar.gz."""
    params = loss_params.load(context)
    run_dir = Path(params["model_run_dir"])
    files = run_dir / run_directory.INPUT
    run_dir.mkdir()
    archives.extract(inputs_archive(context).path, files, added_by_run=False)
    run_directory.localise_exposure(files)
    # The hook comes first, as in the undivided command: what it changes must become part of the kernel's structures.
    if params.get("pre_loss_module"):
        OasisManager().pre_loss(**params)
    OasisManager().generate_losses_dir(**params)
    _settle_settings(run_dir, Path(params["analysis_settings_json"]))
    return StepResult({"run_location": run_directory.pack(run_dir, context.directory / "run_directory.tar.gz")})


def inputs_archive(context: StepContext) -> InputFile:
    """The archive of input files: what this run generated, else what it was requested with. Raises MissingFileError."""
    for name in ("output_location", "input_file"):
        if name in context.files:
            return context.files[name]
    raise MissingFileError("The analysis has no input files; generate inputs before losses.")


def settled_settings(run_dir: Path) -> Path:
    """The settings that the chunks of a prepared run directory read."""
    return run_dir / run_directory.INPUT / settings.FILENAME


def _settle_settings(run_dir: Path, requested: Path) -> None:
    decided = settings.read(run_dir / run_directory.OUTPUT / settings.FILENAME)
    settings.write(settled_settings(run_dir), settings.settle(settings.read(requested), decided))
