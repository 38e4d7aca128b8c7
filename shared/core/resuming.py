"""What a resumed run begins with: where an ended run had got to. Pure."""

from collections.abc import Iterable

from shared.core.facts import StageFacts
from shared.core.plan import Phase
from shared.core.states import RunKind


def phase_to_resume(kind: RunKind, stages: Iterable[StageFacts]) -> Phase | None:
    """The phase of the first stage that is not complete, clean-ups aside; None when there is nothing left to do.

    A run that was never planned (no stages) begins at its beginning.
    """
    stages = tuple(stages)
    if not stages:
        return Phase.LOSSES if kind == RunKind.GENERATE_LOSSES else Phase.INPUTS
    return next((stage.phase for stage in stages if not (stage.optional or _is_complete(stage))), None)


def has_gap(stages: Iterable[StageFacts]) -> bool:
    """Whether a sub-task is completed though an earlier stage is not: the plan is not the one it was made for."""
    required = [stage for stage in stages if not stage.optional]
    incomplete = (number for number, stage in enumerate(required, start=1) if not _is_complete(stage))
    first = next(incomplete, len(required))
    return any(stage.completed for stage in required[first:])


def _is_complete(stage: StageFacts) -> bool:
    return stage.completed == stage.size
