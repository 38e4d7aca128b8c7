"""The promise with the objects on a real S3 server, which dies and is cut off in mid-run."""

import os
import time
from collections.abc import Iterator

import pytest

from services.embedded.rabbitmq_node import find_server
from shared.core.retries import Cause
from tests.faults.platform.analyses import Submitted, Work, submit
from tests.faults.platform.faults import Fault, s3_faults
from tests.faults.platform.objects import s3
from tests.faults.platform.platform import BrokenPlatform, broken_platform, wait
from tests.faults.platform.points import AFTER, BEFORE
from tests.faults.platform.promise import check_promise
from tests.faults.platform.test_single_faults import chunks_under_way, ended_by, executions
from tests.faults.platform.undisturbed import Undisturbed
from tests.object_store.s3_server import missing_programs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def platform() -> Iterator[BrokenPlatform]:
    """A whole platform with an S3 server of its own."""
    missing = [*missing_programs(), *(() if find_server() else ("rabbitmq-server",))]
    if missing:
        assert not os.environ.get("CI"), f"missing: {missing}"
        pytest.skip(f"missing: {missing}")
    with broken_platform(objects_of=s3) as platform:
        yield platform


@pytest.fixture(scope="module")
def undisturbed(platform: BrokenPlatform) -> Undisturbed:
    """What undisturbed runs leave on S3."""
    known = Undisturbed(platform)
    known.prepare(Work())
    return known


def test_the_promise_holds_after_every_fault_of_the_s3_server(
    platform: BrokenPlatform, undisturbed: Undisturbed
) -> None:
    # Given runs that are under way as long as there are faults
    analyses = [submit(platform, Work())]
    for fault in s3_faults():
        # When the server or a wire to it breaks while chunks compute, and is mended after a while
        wait(lambda: _chunks(platform, analyses), f"chunks that compute, for {fault.name}")
        _break(platform, fault)
    # Then all runs complete with the outputs of undisturbed ones, and nothing is left on the server
    check_promise(platform, [undisturbed.completed(each) for each in analyses])
    # And nothing was computed again but what had not reached the server
    for each in analyses:
        again = {slug for slug, count in executions(each).items() if count > 1}
        assert again <= ended_by(Cause.STORAGE, each)


def test_the_promise_holds_after_death_at_each_upload_to_the_s3_server(
    platform: BrokenPlatform, undisturbed: Undisturbed
) -> None:
    analyses = [submit(platform, Work())]
    for service in ("api", "worker-monitor", "worker-1"):
        for side in (BEFORE, AFTER):
            platform.points.arm(service, "upload", side)
            wait(lambda at=(service, "upload", side): _has_died(platform, at, analyses), f"{service} {side} upload")
    check_promise(platform, [undisturbed.completed(each) for each in analyses])


def _break(platform: BrokenPlatform, fault: Fault) -> None:
    fault.inject(platform)
    time.sleep(fault.lasts)
    fault.heal(platform)


def _chunks(platform: BrokenPlatform, analyses: list[Submitted]) -> object:
    """What computes; there is always a run that may."""
    if analyses[-1].has_ended():
        analyses.append(submit(platform, Work()))
    return chunks_under_way(analyses[-1])


def _has_died(platform: BrokenPlatform, at: tuple[str, str, str], analyses: list[Submitted]) -> bool:
    if analyses[-1].has_ended():
        analyses.append(submit(platform, Work()))
    return not platform.points.is_armed(*at)
