"""The table of steps. Importing it imports oasislmf, so only processes that run steps do."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from services.model_worker.step_contract import StepContext, StepResult

from . import (
    collect_keys,
    input_files,
    input_params,
    keys_chunk,
    late_imports,  # noqa: F401 - for what importing it imports
    loss_chunk,
    loss_directory,
    loss_output,
    loss_params,
    pre_analysis,
    undivided_inputs,
    undivided_losses,
)

Step = Callable[[StepContext], StepResult]

STEPS: Mapping[str, Step] = MappingProxyType(
    {
        "prepare-input-generation-params": input_params.run,
        "pre-analysis-hook": pre_analysis.run,
        "prepare-keys-file": keys_chunk.run,
        "collect-keys": collect_keys.run,
        "write-input-files": input_files.run,
        "prepare-losses-generation-params": loss_params.run,
        "prepare-losses-generation-directory": loss_directory.run,
        "generate-losses-chunk": loss_chunk.run,
        "generate-losses-output": loss_output.run,
        "generate-input": undivided_inputs.run,
        "run-analysis": undivided_losses.run,
    }
)
