"""A fixed short set of schedules; `make chaos` plays any number of others."""

import pytest

from tests.faults.chaos import play
from tests.faults.platform.platform import BrokenPlatform
from tests.faults.platform.schedule import WORKS, schedule
from tests.faults.platform.undisturbed import Undisturbed
from tests.faults.platform.users import SCRIPTS

SEEDS = (7, 10, 17)
"""An API that dies between object and row; five faults at once; a wiped broker and two blackholes."""


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_promise_holds_after_the_schedule_of(seed: int, platform: BrokenPlatform, undisturbed: Undisturbed) -> None:
    undisturbed.prepare(*WORKS)
    play(schedule(seed), platform, undisturbed)


def test_a_seed_gives_the_same_schedule_every_time() -> None:
    assert [str(schedule(seed)) for seed in range(50)] == [str(schedule(seed)) for seed in range(50)]


def test_schedules_differ_and_reach_every_service_and_every_script() -> None:
    drawn = [schedule(seed) for seed in range(200)]
    assert len(set(map(str, drawn))) == len(drawn)
    faults = {due.fault.name for each in drawn for due in each.faults}
    assert all(any(service in name for name in faults) for service in ("api", "controller", "monitor", "worker-1"))
    assert {user.script for each in drawn for user in each.users} == set(SCRIPTS)
