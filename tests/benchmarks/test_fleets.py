"""What the benchmark of fleets compares with."""

import pytest

from benchmarks.fleets import at_most


@pytest.mark.parametrize(
    ("chunks", "slots", "rate"),
    [(1600, 1600, 400), (1601, 1600, 1601 / 8), (10_000, 1600, 10_000 / 28), (100, 1600, 25)],
)
def test_a_fleet_completes_a_slotful_in_the_time_of_one_sub_task(chunks: int, slots: int, rate: float) -> None:
    assert at_most(chunks, slots, 4.0) == pytest.approx(rate)


def test_a_fleet_whose_sub_tasks_take_no_time_has_no_limit() -> None:
    assert at_most(10, 2, 0.0) is None
