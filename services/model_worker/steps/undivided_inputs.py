"""generate-input: the input generation of a v1 run, hooks and lookup and files, as the undivided command does it."""

from pathlib import Path

from oasislmf.manager import OasisManager

from services.model_worker.step_contract import StepContext, StepResult

from . import input_files, input_params, params
from .lookup_processes import in_the_order_of_one


def run(context: StepContext) -> StepResult:
    """Leaves what write-input-files leaves, and raises as that does."""
    files = context.directory / "input-files"
    log = f"analysis_{context.analysis_id}_{context.slug}.log"
    return input_files.generated(context, files, log, lambda: _generate(context, files))


def _generate(context: StepContext, files: Path) -> None:
    # The uploads lie among the files that are made of them, under their plain names: that is how v1 archives look.
    paths = input_params.run_paths(context, files, copy=True, uploaded="")
    # What reads the keys wants this format, whatever a configuration says for its vendor's own use.
    resolved = params.resolve(context.model, input_params.COMPUTATION, paths) | {"keys_format": "oasis"}
    params.show(context, resolved)
    with in_the_order_of_one():
        OasisManager().generate_oasis_files(**resolved)
