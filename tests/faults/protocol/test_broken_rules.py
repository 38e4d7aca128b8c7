"""The model has teeth: each rule that is broken on purpose is found out, with the story of how."""

import pytest

from tests.faults.protocol.broken import BROKEN, Broken
from tests.faults.protocol.explore import Counterexample, explore


@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.name)
def test_a_broken_rule_is_found_out(broken: Broken) -> None:
    with pytest.raises(Counterexample) as found:
        explore(broken.setup)

    print(f"\n{broken.name}\n{found.value}")  # noqa: T201 - shown by `pytest -s`
    assert broken.promise in found.value.promise
    assert found.value.story
