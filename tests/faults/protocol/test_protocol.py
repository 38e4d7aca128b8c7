"""The protocol holds in every state within one fault, and on random walks with many."""

import pytest

from shared.core.states import RunState
from tests.faults.protocol.explore import WIDE_WORLDS, WORLDS, Counterexample, Explored, explore, walks, walks_wanted
from tests.faults.protocol.rules import Rules, Setup, When, stages

ENDED = {RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED}


@pytest.mark.parametrize("name", WORLDS)
def test_every_promise_holds_in_every_state_of(name: str) -> None:
    explored = explore(WORLDS[name])
    told(name, explored)
    assert explored.states > 10_000, "the model has lost most of its steps"
    assert explored.ends == ENDED - ({RunState.CANCELLED} if not WORLDS[name].cancels else set())


@pytest.mark.parametrize("name", WIDE_WORLDS)
def test_every_promise_holds_on_random_walks_with(name: str) -> None:
    count = walks_wanted()
    explored = walks(WIDE_WORLDS[name], range(count))
    told(f"{count} walks, {name}", explored)
    assert explored.steps > 20 * count
    assert explored.ends == ENDED


def test_tokens_are_never_lost_by_workers_that_die_even_if_nobody_tops_up() -> None:
    """The rule beside the broken one: it is the late acknowledgement that keeps the token."""
    claims = When.NEVER
    explore(Setup(stages(), cancels=False, lossy=False, claims_with_reports=claims, rules=Rules(tops_up=False)))


def test_claims_without_tokens_count_on_the_reconciler_to_top_up() -> None:
    """Where the token too many has died in another hand, one that is needed is removed (docs/decisions/0010)."""
    with pytest.raises(Counterexample) as found:
        explore(Setup(stages(2), faults=0, cancels=False, prompt=False, rules=Rules(tops_up=False)))
    assert any("removes a token" in line for line in found.value.story)


def told(name: str, explored: Explored) -> None:
    """Shown by `pytest -s`."""
    print(f"\n{name}: {explored}")  # noqa: T201
