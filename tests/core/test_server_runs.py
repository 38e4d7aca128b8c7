"""The plans of what the internal worker executes, and what failing does to whoever the run belongs to."""

from uuid import uuid4

import pytest

from shared.core.decide import decide
from shared.core.facts import (
    AnalysisMoved,
    AttemptEnded,
    AttemptFacts,
    Facts,
    PortfolioMoved,
    RunFacts,
    StageFacts,
    SubTaskFacts,
    WorkGranted,
)
from shared.core.plan import PORTFOLIO_PHASES, RECORDER_QUEUE, Phase, plan_run, storage_prefix
from shared.core.retries import Cause, RetryPolicy
from shared.core.states import (
    EXPOSURE,
    SERVER_KINDS,
    AnalysisEvent,
    AttemptState,
    ExposureEvent,
    ExposureStatus,
    RunKind,
    RunState,
    SubTaskState,
    move,
)

QUEUE = "the internal queue"


@pytest.mark.parametrize("kind", sorted(SERVER_KINDS))
def test_every_kind_works_records_and_cleans_up(kind: RunKind) -> None:
    stages = plan_run(kind, QUEUE, None, None)

    assert [stage.queue for stage in stages] == [QUEUE, RECORDER_QUEUE, QUEUE]
    assert [stage.optional for stage in stages] == [False, False, True]
    assert [stage.position for stage in stages] == [0, 1, 2]
    assert len({stage.phase for stage in stages}) == 1


def test_objects_of_portfolios_and_analyses_with_the_same_id_lie_apart() -> None:
    assert storage_prefix(Phase.VALIDATION, 7, "ab12") == "portfolio-7_validation-ab12/"
    assert storage_prefix(Phase.LOSSES, 7, "ab12") == "analysis-7_losses-ab12/"


@pytest.mark.parametrize("cause", [Cause.MODEL_ERROR, Cause.NO_KEYS])
@pytest.mark.parametrize("kind", sorted(SERVER_KINDS))
def test_what_fails_for_good_fails_its_portfolio_or_its_analysis(kind: RunKind, cause: Cause) -> None:
    facts = under_way(kind)

    decision = decide(facts, AttemptEnded(cause), RetryPolicy(retries=dict.fromkeys(Cause, 0)))

    moved = [each for each in decision.changes if isinstance(each, AnalysisMoved | PortfolioMoved)]
    of_analysis = AnalysisMoved(AnalysisEvent.LOSSES_FAILED)
    assert moved == [of_analysis if kind == RunKind.COMBINE else PortfolioMoved(ExposureEvent.FAILED)]


def test_beginning_to_work_on_a_portfolio_moves_no_analysis() -> None:
    facts = under_way(RunKind.VALIDATE, SubTaskState.QUEUED)

    decision = decide(facts, WorkGranted(uuid4()), RetryPolicy())

    assert not [each for each in decision.changes if isinstance(each, AnalysisMoved)]


@pytest.mark.parametrize("status", list(ExposureStatus))
def test_a_request_starts_whatever_the_status_was(status: ExposureStatus) -> None:
    assert move(EXPOSURE, status, ExposureEvent.REQUESTED) == ExposureStatus.STARTED


def test_only_what_has_started_ends() -> None:
    ends = {before for (before, event) in EXPOSURE if event in (ExposureEvent.RECORDED, ExposureEvent.FAILED)}
    assert ends == {ExposureStatus.STARTED}


def under_way(kind: RunKind, state: SubTaskState = SubTaskState.STARTED) -> Facts:
    """A run whose first sub-task is in this state."""
    planned = plan_run(kind, QUEUE, None, None)
    counters = [{state.lower(): 1}, {"pending": 1}, {"pending": 1}]
    stages = tuple(
        StageFacts(each.position, each.step, each.phase, each.queue, 1, optional=each.optional, **counts)
        for each, counts in zip(planned, counters, strict=True)
    )
    of_portfolio = planned[0].phase in PORTFOLIO_PHASES
    attempt = uuid4()
    analysis, portfolio = (None, 7) if of_portfolio else (7, None)
    run = RunFacts(1, "ab12", analysis, RunState.ACTIVE, 10, stages, portfolio_id=portfolio)
    return Facts(run, SubTaskFacts(1, 0, state, attempt), AttemptFacts(attempt, AttemptState.RUNNING))
