"""Steps that do nothing, of which the chunks take their time, so that workers are busy when they are drained."""

import time
from collections.abc import Callable, Mapping

from benchmarks.noop_steps import ARTIFACTS, leave
from benchmarks.noop_steps import STEPS as QUICK
from services.model_worker.step_contract import StepContext, StepResult

CHUNK = "generate-losses-chunk"
SECONDS = 0.5


def wait_and_leave(context: StepContext) -> StepResult:
    """As the step that does nothing, a little later."""
    time.sleep(SECONDS)
    return leave(ARTIFACTS[CHUNK], context)


STEPS: Mapping[str, Callable[[StepContext], StepResult]] = {**QUICK, CHUNK: wait_and_leave}
