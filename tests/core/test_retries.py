"""Retry budgets by cause, and the back-off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.retries import UNCOUNTED, Cause, RetryPolicy

POLICY = RetryPolicy()
BUDGETS = {
    Cause.MODEL_ERROR: 2,
    Cause.UNREADABLE: 2,
    Cause.NO_KEYS: 0,
    Cause.LOST: 5,
    Cause.STORAGE: 5,
    Cause.OUT_OF_MEMORY: 1,
}


def tries_until_over(cause: Cause) -> int:
    """How many attempts a sub-task gets whose every attempt ends by the cause."""
    tries = 1
    while POLICY.has_tries_left(cause, {cause: tries}):
        tries += 1
    return tries


def test_every_cause_is_either_counted_by_a_budget_or_not_counted() -> None:
    assert set(BUDGETS) | UNCOUNTED == set(Cause)
    assert set(BUDGETS) & UNCOUNTED == set()


@pytest.mark.parametrize(("cause", "retries"), BUDGETS.items())
def test_a_cause_has_its_own_budget_of_retries(cause: Cause, retries: int) -> None:
    assert tries_until_over(cause) == retries + 1


@pytest.mark.parametrize("cause", sorted(UNCOUNTED))
def test_uncounted_ends_are_retried_until_20_attempts(cause: Cause) -> None:
    assert tries_until_over(cause) == 20


def test_budgets_do_not_share() -> None:
    ended = {Cause.MODEL_ERROR: 2, Cause.LOST: 5, Cause.STORAGE: 5, Cause.OUT_OF_MEMORY: 1}
    assert all(POLICY.has_tries_left(cause, ended) for cause in ended)


@given(st.dictionaries(st.sampled_from(Cause), st.integers(1, 20), min_size=1))
def test_there_are_never_more_than_20_attempts_together(ended: dict[Cause, int]) -> None:
    if sum(ended.values()) >= 20:
        assert not any(POLICY.has_tries_left(cause, ended) for cause in ended)


def test_the_back_off_doubles_with_each_counted_end() -> None:
    delays = [POLICY.delay(Cause.STORAGE, {Cause.STORAGE: count}, jitter=0.0) for count in range(1, 6)]
    assert delays == [1, 2, 4, 8, 16]


def test_a_first_loss_waits_for_nothing_and_the_next_ones_do() -> None:
    delays = [POLICY.delay(Cause.LOST, {Cause.LOST: count}, jitter=0.0) for count in range(1, 4)]
    assert delays == [0, 2, 4]
    assert POLICY.delay(Cause.LOST, {Cause.MODEL_ERROR: 1, Cause.LOST: 1}, jitter=0.0) == 2


def test_the_back_off_counts_all_causes_that_count() -> None:
    ended = {Cause.LOST: 2, Cause.MODEL_ERROR: 1, Cause.UNDELIVERED: 9}
    assert POLICY.delay(Cause.MODEL_ERROR, ended, jitter=0.0) == 4


@pytest.mark.parametrize("cause", sorted(UNCOUNTED))
def test_an_uncounted_end_waits_for_nothing(cause: Cause) -> None:
    assert POLICY.delay(cause, {cause: 3, Cause.LOST: 4}, jitter=0.5) == 0


@given(count=st.integers(1, 19), jitter=st.floats(0, 1))
def test_jitter_shortens_the_back_off_by_up_to_a_half(count: int, jitter: float) -> None:
    whole = min(60.0, 2.0 ** (count - 1))
    assert whole / 2 <= POLICY.delay(Cause.STORAGE, {Cause.STORAGE: count}, jitter) <= whole
