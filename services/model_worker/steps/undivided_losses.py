"""run-analysis: the losses of a v1 run, on all cores of the worker, as the undivided command computes them."""

from pathlib import Path

from oasislmf.manager import OasisManager

from services.model_worker.step_contract import StepContext, StepResult

from . import archives, loss_output, loss_params, params, run_directory, settings
from .errors import ModelFailedError
from .loss_directory import inputs_archive


def run(context: StepContext) -> StepResult:
    """Leaves `output_location` (output.tar.gz, members output/…) and `run_logs`.

    Raises ModelFailedError with the tables and logs that there are when the kernel or a hook fails.
    """
    resolved = _params(context)
    run_dir = Path(resolved["model_run_dir"])
    run_dir.mkdir()
    files = archives.extract(inputs_archive(context).path, run_dir / run_directory.INPUT, added_by_run=False)
    run_directory.localise_exposure(files)
    try:
        OasisManager().generate_oasis_losses(**resolved, **loss_params.ping_params(context))
    except Exception as error:
        raise ModelFailedError(f"The losses cannot be computed: {error}", _left(context, run_dir)) from error
    return StepResult(loss_output.results(context, run_dir))


def _params(context: StepContext) -> params.Params:
    path = settings.place_for_losses(context, context.directory / "files")
    resolved = params.resolve(context.model, loss_params.COMPUTATION, loss_params.run_paths(context, path))
    settings.fill_samples(path, resolved.get("model_settings_json"))
    resolved |= loss_params.of_kernel(context, resolved)
    params.show(context, resolved)
    return resolved


def _left(context: StepContext, run_dir: Path) -> dict[str, Path]:
    """What a failure leaves: it may have come before there was anything."""
    for name in (run_directory.OUTPUT, run_directory.LOG):
        (run_dir / name).mkdir(exist_ok=True)
    return loss_output.results(context, run_dir)
