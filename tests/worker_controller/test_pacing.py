"""When a target falls: votes that agree, votes that never do, and none at all."""

from __future__ import annotations

from collections.abc import Iterable

from services.worker_controller.pacing import Hold, Pacing, Target, after_death, voted

PACING = Pacing(shrink_after=20, idle_after=60, first_delay=1, longest_delay=60)


def targets(votes: Iterable[int], start: int = 10) -> list[int]:
    """The targets after one vote a second."""
    target, found = Target(start), []
    for second, vote in enumerate(votes):
        target = voted(target, vote, float(second), PACING)
        found.append(target.workers)
    return found


def test_a_vote_for_more_counts_at_once() -> None:
    assert targets([11, 12]) == [11, 12]


def test_a_target_falls_when_all_votes_of_the_time_were_for_the_same_number() -> None:
    assert targets([4] * 21) == [10] * 20 + [4]


def test_one_vote_for_as_many_as_there_are_begins_the_count_again() -> None:
    assert targets([4] * 20 + [10] + [4] * 20) == [10] * 41


def test_votes_that_fall_step_by_step_are_one_change() -> None:
    votes = [9] * 5 + [8] * 5 + [7] * 5 + [3] * 21
    assert targets(votes) == [10] * 35 + [3]


def test_votes_that_never_agree_end_with_the_highest_of_them() -> None:
    assert targets([4, 6] * 31) == [10] * 60 + [6] * 2


def test_nothing_to_do_takes_a_time_of_its_own() -> None:
    assert targets([0] * 61) == [10] * 60 + [0]
    assert targets([3] * 10 + [0] * 61) == [10] * 70 + [0]


def test_deaths_at_start_double_the_delay_up_to_the_longest() -> None:
    hold, delays = Hold(), []
    for _ in range(8):
        hold = after_death(hold, 100.0, "exit status 2", PACING)
        delays.append(hold.until - 100.0)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (hold.deaths, hold.reason) == (8, "exit status 2")
