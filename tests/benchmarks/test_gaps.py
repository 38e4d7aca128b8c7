"""Gaps are found where one sub-task had to wait for another one's end, and nowhere else."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.gaps import Stay, gaps

MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)


def stay(stage: int, slot: int, started: float, finished: float) -> Stay:
    """An attempt on a slot of the one worker; times in seconds."""
    return Stay(stage, "w1", slot, MIDNIGHT + timedelta(seconds=started), MIDNIGHT + timedelta(seconds=finished))


def test_a_gap_is_between_the_sub_tasks_of_one_slot() -> None:
    found = gaps([stay(0, 0, 0, 1), stay(0, 1, 0, 2), stay(0, 0, 1.5, 3), stay(0, 1, 2.25, 3)])

    assert sorted(found) == [pytest.approx(0.25), pytest.approx(0.5)]


def test_a_gap_is_between_the_last_of_a_stage_and_the_first_of_the_next() -> None:
    found = gaps([stay(1, 0, 5, 6), stay(0, 0, 0, 1), stay(0, 1, 0, 4), stay(1, 1, 7, 8)])

    assert found == [pytest.approx(1.0)]


def test_the_first_sub_task_waits_for_nobody() -> None:
    assert gaps([stay(0, 0, 3, 4)]) == []
