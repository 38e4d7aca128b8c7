"""The table of steps of the internal worker. Importing it imports oasislmf, so only processes that run steps do."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from services.model_worker.step_contract import StepContext, StepResult

from . import combination, exposure_run, transformation, validation

Step = Callable[[StepContext], StepResult]

STEPS: Mapping[str, Step] = MappingProxyType(
    {
        "validate-exposure": validation.run,
        "run-exposure": exposure_run.run,
        "transform-exposure": transformation.run,
        "combine-losses": combination.run,
    }
)
"""Which steps the internal worker executes."""
