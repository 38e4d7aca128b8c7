"""Each service killed at every named point in turn, while runs are under way: before and after what it does there."""

import pytest

from tests.faults.platform.analyses import Submitted, Work, submit
from tests.faults.platform.platform import BrokenPlatform, wait
from tests.faults.platform.points import AFTER, BEFORE, POINTS
from tests.faults.platform.promise import check_promise
from tests.faults.platform.undisturbed import Undisturbed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TURNS = {"upload": 1}
"""Objects are few; of the other things a service does some while it starts, so that it dies the second time."""


@pytest.mark.parametrize("service", [service for service in POINTS if service != "worker-2"])
def test_the_promise_holds_after_death_at_every_point_of(
    service: str, platform: BrokenPlatform, undisturbed: Undisturbed
) -> None:
    # Given runs that are under way as long as there are points to die at
    analyses = [submit(platform, Work())]
    for point in POINTS[service]:
        for side in (BEFORE, AFTER):
            # When the service comes there, it dies; then it comes to the next one
            platform.points.arm(service, point, side, TURNS.get(point, 2))
            wait(lambda at=(service, point, side): _has_died(platform, at, analyses), f"{service} {side} {point}")
    # Then all of them complete, with the outputs of undisturbed runs
    check_promise(platform, [undisturbed.completed(each) for each in analyses])


def _has_died(platform: BrokenPlatform, at: tuple[str, str, str], analyses: list[Submitted]) -> bool:
    """Whether the service has come to the point; there is always a run that may lead it there."""
    if analyses[-1].has_ended():
        analyses.append(submit(platform, Work()))
    return not platform.points.is_armed(*at)
