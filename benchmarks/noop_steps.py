"""Steps that do nothing: what is left of a run is its orchestration.

Each leaves a file of two bytes under the names that real steps use, so that uploads, references between stages and the
recording of results take part in what is measured. `LOSSLINE_STEPS=benchmarks.noop_steps` makes a worker execute them.
"""

from collections.abc import Callable, Mapping
from functools import partial

from services.model_worker.step_contract import StepContext, StepResult

ARTIFACTS: Mapping[str, tuple[str, ...]] = {
    "prepare-input-generation-params": ("params",),
    "pre-analysis-hook": (),
    "prepare-keys-file": ("chunk_keys",),
    "collect-keys": ("keys_data",),
    "write-input-files": ("output_location",),
    "prepare-losses-generation-params": ("params",),
    "prepare-losses-generation-directory": ("run_location",),
    "generate-losses-chunk": ("chunk_work_location",),
    "generate-losses-output": ("output_location", "run_logs"),
}
"""What each step leaves, by the names of the real steps' artifacts."""


def leave(names: tuple[str, ...], context: StepContext) -> StepResult:
    """Write the files and do nothing else."""
    paths = {name: context.directory / f"{name}.json" for name in names}
    for path in paths.values():
        path.write_text("{}", encoding="utf-8")
    return StepResult(paths)


STEPS: Mapping[str, Callable[[StepContext], StepResult]] = {
    step: partial(leave, names) for step, names in ARTIFACTS.items()
}
