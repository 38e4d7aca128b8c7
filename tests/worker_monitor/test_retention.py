"""Which runs go, and which lose their objects: the rule alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.worker_monitor.retention import PastRun, Retention, Verdict, judge
from shared.core.states import RunState

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
COMPLETED, FAILED, CANCELLED = RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED
KEEP_ALL = Retention(runs=0, days=0)


def past(run_id: int, state: RunState = COMPLETED, days_ago: float = 0.5, **more: object) -> PastRun:
    """A run that ended so long ago."""
    return replace(PastRun(run_id, state, NOW - timedelta(days=days_ago)), **more)  # type: ignore[arg-type]


def alive(run_id: int, *began_with: int, state: RunState = RunState.ACTIVE) -> PastRun:
    """The current run, under way."""
    return PastRun(run_id, state, is_current=True, began_with=frozenset(began_with))


def removed(*runs: PastRun, retention: Retention) -> set[int]:
    return set(judge(_newest_first(runs), retention, NOW).removed)


def swept(*runs: PastRun, retention: Retention = KEEP_ALL) -> set[int]:
    return set(judge(_newest_first(runs), retention, NOW).swept)


def _newest_first(runs: tuple[PastRun, ...]) -> list[PastRun]:
    return sorted(runs, key=lambda run: -run.run_id)


def test_the_newest_runs_are_kept() -> None:
    runs = [past(number) for number in range(1, 6)]

    assert removed(*runs, retention=Retention(runs=3, days=0)) == {1, 2}
    assert removed(*runs, retention=Retention(runs=5, days=0)) == set()
    assert removed(*runs, retention=Retention(runs=0, days=0)) == set(), "0 sets no bound"


def test_old_runs_go_however_few_there_are() -> None:
    runs = [past(1, days_ago=30), past(2, days_ago=29.9)]

    assert removed(*runs, retention=Retention(runs=10, days=30)) == {1}
    assert removed(*runs, retention=Retention(runs=10, days=0)) == set(), "0 sets no bound"


@pytest.mark.parametrize("what", ["is_current", "is_shown"])
def test_a_run_that_the_analysis_shows_never_goes(what: str) -> None:
    runs = [past(1, days_ago=400, **{what: True}), past(2), past(3)]

    assert removed(*runs, retention=Retention(runs=1, days=30)) == {2}


@pytest.mark.parametrize("state", [RunState.CANCELLING, RunState.FAILING, RunState.ACTIVE, RunState.REQUESTED])
def test_a_run_that_has_not_ended_never_goes(state: RunState) -> None:
    assert judge([past(2), PastRun(1, state)], Retention(runs=1, days=1), NOW) == Verdict(frozenset(), frozenset())


def test_what_a_kept_run_began_with_is_kept_with_it() -> None:
    chain = [past(1, FAILED, 90), past(2, FAILED, 60, began_with=frozenset({1})), alive(3, 1, 2)]

    assert removed(*chain, retention=Retention(runs=1, days=30)) == set()
    assert removed(*chain, past(4), retention=Retention(runs=1, days=30)) == set()


def test_what_a_run_that_goes_began_with_goes_too() -> None:
    chain = [past(1, FAILED, 90), past(2, COMPLETED, 60, began_with=frozenset({1})), past(3, is_current=True)]

    assert removed(*chain, retention=Retention(runs=1, days=30)) == {1, 2}


@pytest.mark.parametrize("state", [FAILED, CANCELLED])
def test_a_run_that_can_be_resumed_keeps_its_objects_for_a_time(state: RunState) -> None:
    assert swept(past(1, state, 0.9, is_current=True)) == set()
    assert swept(past(1, state, 1.0, is_current=True)) == {1}
    longer = Retention(runs=0, days=0, resumable_for=timedelta(days=2))
    assert swept(past(1, state, 1.0, is_current=True), retention=longer) == set()


def test_a_run_is_swept_once() -> None:
    assert swept(past(1, FAILED, 5, has_objects=False)) == set()


def test_a_completed_run_keeps_what_its_clean_up_was_told_to_keep() -> None:
    assert swept(past(1, COMPLETED, 5), past(2, COMPLETED, 5, is_current=True)) == set()


def test_objects_that_a_run_under_way_reads_stay_however_old_their_run_is() -> None:
    old = past(1, FAILED, 20)

    assert swept(old, alive(2, 1)) == set()
    assert swept(old, past(2, FAILED, 19, began_with=frozenset({1})), alive(3, 1, 2)) == set()
    assert swept(old, alive(2)) == {1}


def test_objects_that_a_resumable_run_would_read_stay_with_its_own() -> None:
    old = past(1, FAILED, 20)
    resumable = past(2, CANCELLED, 0.5, is_current=True, began_with=frozenset({1}))

    assert swept(old, resumable) == set()
    assert swept(old, replace(resumable, is_current=False)) == {1}, "only the current run can be resumed"
    assert swept(old, replace(resumable, ended_at=NOW - timedelta(days=1))) == {1, 2}


def test_what_is_removed_is_not_swept_as_well() -> None:
    verdict = judge([past(2, is_current=True), past(1, FAILED, 40)], Retention(runs=1, days=30), NOW)

    assert verdict == Verdict(removed=frozenset({1}), swept=frozenset())
