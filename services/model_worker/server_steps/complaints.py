"""What is wrong with what a user has sent is a result of the step, not a failure: to try again would not help."""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

from services.model_worker.step_contract import StepContext, StepResult

ARTIFACT = "errors"
FILENAME = "errors.txt"

logger = logging.getLogger(__name__)


def complaint(context: StepContext, text: str) -> StepResult:
    """Leaves `errors`, which users read."""
    target = context.directory / FILENAME
    target.write_text(text, encoding="utf-8", errors="replace")
    return StepResult({ARTIFACT: target})


def result_or_complaint(context: StepContext, artifact: str, work: Callable[[], Path]) -> StepResult:
    """What `work` makes, or what it raises as a complaint. No memory, and no room on the disk, are no user's fault."""
    try:
        return StepResult({artifact: work()})
    except (MemoryError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise what they like at what users send
        logger.warning("The exposure cannot be worked with: %s", error)
        return complaint(context, "".join(traceback.format_exception(error)))
