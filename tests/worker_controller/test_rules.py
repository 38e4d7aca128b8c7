"""The rules of scaling: the formulas of the API, and who gets how many where there are limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.worker_controller.rules import (
    Demand,
    Scaling,
    Strategy,
    filled,
    most_allowed,
    prioritized,
    share_out,
    wished,
)


def dynamic(**options: int) -> Scaling:
    return Scaling(Strategy.DYNAMIC_TASKS, **options)


@pytest.mark.parametrize(
    ("scaling", "demand", "workers"),
    [
        (Scaling(fixed=3), Demand("q", pending=1), 3),
        (Scaling(fixed=1, least=2), Demand("q", ready=1), 2),
        (Scaling(Strategy.QUEUE_LOAD, most=4), Demand("q", ready=90, analyses=3), 3),
        (Scaling(Strategy.QUEUE_LOAD, most=4), Demand("q", ready=90, analyses=9), 4),
        (Scaling(Strategy.QUEUE_LOAD, most=4), Demand("q", ready=2, analyses=0), 1),
        (Scaling(Strategy.QUEUE_LOAD, least=5), Demand("q", ready=90, analyses=1), 5),
        (dynamic(most=10, chunks_per_worker=10), Demand("q", pending=180, ready=10, running=10), 10),
        (dynamic(most=50, chunks_per_worker=10), Demand("q", pending=180, ready=10, running=11), 21),
        (dynamic(least=3, chunks_per_worker=10), Demand("q", ready=1), 3),
        (dynamic(most=7, chunks_per_worker=0), Demand("q", ready=1), 7),
    ],
)
def test_workers_follow_the_formulas_of_the_api(scaling: Scaling, demand: Demand, workers: int) -> None:
    assert wished(scaling, demand) == workers


@pytest.mark.parametrize("strategy", Strategy)
def test_options_that_contradict_themselves_give_the_least_that_is_wanted(strategy: Strategy) -> None:
    scaling = Scaling(strategy, fixed=0, least=5, most=2, chunks_per_worker=0)
    assert wished(scaling, Demand("q", ready=90, analyses=9)) == most_allowed(scaling) == 5


@pytest.mark.parametrize("idle", [None, Demand("q"), Demand("q", analyses=2)])
@pytest.mark.parametrize("strategy", Strategy)
def test_without_work_there_are_as_few_as_the_model_wants_always(strategy: Strategy, idle: Demand | None) -> None:
    assert wished(Scaling(strategy, fixed=3, least=2), idle) == 2
    assert wished(Scaling(strategy, fixed=3), idle) == 0


def test_fixed_workers_stay_without_work_where_the_settings_say_so() -> None:
    assert wished(Scaling(fixed=3), None, keep_fixed=True) == 3
    assert wished(dynamic(), None, keep_fixed=True) == 0


def test_what_is_ready_and_running_fills_slots_and_what_is_pending_does_not() -> None:
    assert filled(Demand("q", pending=100, ready=3, running=2), 2) == 3
    assert filled(None, 2) == 0


def test_a_limit_goes_to_the_highest_priority_then_to_the_oldest_waiting() -> None:
    demands = {
        "low": Demand("low", ready=1, priority=4, oldest=1),
        "young": Demand("young", ready=1, priority=9, oldest=8),
        "old": Demand("old", ready=1, priority=9, oldest=7),
    }
    shares = share_out({"low": 5, "young": 5, "old": 5, "idle": 1}, demands, 8)
    assert shares == {"old": 5, "young": 3, "low": 0, "idle": 0}
    assert prioritized(list(demands.values()), 2) == {"old", "young"}
    assert prioritized(list(demands.values()), None) == set(demands)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 50)), st.none() | st.integers(0, 60))
def test_shares_never_exceed_wishes_nor_the_limit_and_leave_nothing_unused(
    wishes: dict[str, int], limit: int | None
) -> None:
    shares = share_out(wishes, {}, limit)
    assert all(shares[queue] <= wishes[queue] for queue in wishes)
    total = sum(wishes.values())
    assert sum(shares.values()) == (total if limit is None else min(limit, total))
