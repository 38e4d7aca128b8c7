"""Steps that do nothing, of which the chunks take their time, so that workers are busy while their number changes."""

import os
import time
from collections.abc import Callable, Mapping

from benchmarks.noop_steps import ARTIFACTS, leave
from benchmarks.noop_steps import STEPS as QUICK
from services.model_worker.step_contract import StepContext, StepResult

SECONDS_VARIABLE = "BENCHMARK_CHUNK_SECONDS"
_CHUNK = "generate-losses-chunk"


def wait_and_leave(context: StepContext) -> StepResult:
    """As the step that does nothing, half a second later, or as many as the variable says."""
    time.sleep(float(os.environ.get(SECONDS_VARIABLE, "0.5")))
    return leave(ARTIFACTS[_CHUNK], context)


STEPS: Mapping[str, Callable[[StepContext], StepResult]] = {**QUICK, _CHUNK: wait_and_leave}
