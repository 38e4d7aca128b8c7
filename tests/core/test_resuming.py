"""Where a resumed run begins."""

from uuid import uuid4

import pytest

from shared.core.decide import decide
from shared.core.facts import (
    AnalysisMoved,
    Facts,
    PublishTokens,
    RunFacts,
    RunPlanned,
    StageFacts,
    StageQueued,
    SubTaskFacts,
    WorkGranted,
)
from shared.core.plan import Phase, plan_run
from shared.core.resuming import has_gap, phase_to_resume
from shared.core.retries import RetryPolicy
from shared.core.states import AnalysisEvent, RunKind, RunState, SubTaskState

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN
CLEANUP, FIRST_OF_LOSSES, CHUNKS = 6, 7, 9


def _stages(completed: dict[int, int]) -> tuple[StageFacts, ...]:
    """A generate_and_run of 5 chunks, with that many completed sub-tasks by stage; the rest is pending."""
    return tuple(
        StageFacts(
            s.position,
            s.step,
            s.phase,
            s.queue,
            s.size,
            s.parallel,
            s.optional,
            pending=s.size - completed.get(s.position, 0),
            completed=completed.get(s.position, 0),
        )
        for s in plan_run(BOTH, "model", 5, 5)
    )


def _up_to(stage: int, partly: int = 0) -> dict[int, int]:
    sizes = {s.position: s.size for s in plan_run(BOTH, "model", 5, 5)}
    return {position: sizes[position] for position in range(stage)} | {stage: partly}


@pytest.mark.parametrize("kind", [INPUTS, LOSSES, BOTH])
def test_a_run_without_a_plan_begins_at_its_beginning(kind: RunKind) -> None:
    assert phase_to_resume(kind, ()) == (Phase.LOSSES if kind == LOSSES else Phase.INPUTS)


@pytest.mark.parametrize(
    ("completed", "phase"),
    [
        ({}, Phase.INPUTS),
        (_up_to(2, 3), Phase.INPUTS),
        (_up_to(CLEANUP), Phase.LOSSES),
        (_up_to(CHUNKS, 3), Phase.LOSSES),
        (_up_to(12), None),
    ],
)
def test_the_phase_is_that_of_the_first_stage_that_is_not_complete(
    completed: dict[int, int], phase: Phase | None
) -> None:
    assert phase_to_resume(BOTH, _stages(completed)) == phase


def test_completed_work_behind_an_incomplete_stage_is_a_gap() -> None:
    assert not has_gap(_stages({}))
    assert not has_gap(_stages(_up_to(CHUNKS, 3)))
    assert not has_gap(_stages(_up_to(CHUNKS, 3) | {CLEANUP: 0})), "a clean-up that failed is no gap"
    assert not has_gap(_stages(_up_to(13)))
    assert has_gap(_stages(_up_to(CHUNKS, 3) | {2: 4}))
    assert has_gap(_stages({3: 1}))


def _resumed(completed: dict[int, int], state: RunState) -> RunFacts:
    return RunFacts(1, "uuid", 1, state, 4, _stages(completed), resumed=True)


def test_only_what_is_left_of_a_stage_becomes_ready() -> None:
    decision = decide(Facts(_resumed(_up_to(CHUNKS, 3), RunState.REQUESTED)), RunPlanned(), RetryPolicy())

    assert StageQueued(CHUNKS) in decision.changes
    assert decision.instructions == (PublishTokens("model", 2),)


@pytest.mark.parametrize("resumed", [True, False])
def test_the_first_grant_of_a_resumed_run_starts_its_phase_wherever_it_is(resumed: bool) -> None:
    stages = list(_stages(_up_to(CHUNKS, 3)))
    stages[CHUNKS] = stages[CHUNKS].moved(SubTaskState.PENDING, SubTaskState.QUEUED, 2)
    run = RunFacts(1, "uuid", 1, RunState.ACTIVE, 4, tuple(stages), resumed)

    decision = decide(Facts(run, SubTaskFacts(1, CHUNKS, SubTaskState.QUEUED)), WorkGranted(uuid4()), RetryPolicy())

    assert (AnalysisMoved(AnalysisEvent.LOSSES_STARTED) in decision.changes) == resumed
