"""A worker whose disk is full hands its work to others."""

from collections.abc import Iterator

import pytest

from tests.faults.platform.analyses import Work, submit
from tests.faults.platform.platform import BrokenPlatform, broken_platform
from tests.faults.platform.promise import check_promise
from tests.faults.platform.small_disk import clear, fill, may_mount, small_disk
from tests.faults.platform.undisturbed import Undisturbed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

# A right, not a program that is missing: where it is not given, CI has nothing to install.
needs_mount = pytest.mark.skipif(not may_mount(), reason="this process may not mount a small disk (CAP_SYS_ADMIN)")


@pytest.fixture
def on_small_disk() -> Iterator[BrokenPlatform]:
    """A platform with 8 MiB under its first worker."""
    with broken_platform(under_worker=small_disk) as platform:
        yield platform


@needs_mount
def test_a_full_disk_under_a_worker_costs_attempts_and_no_run(on_small_disk: BrokenPlatform) -> None:
    # Given what an undisturbed run leaves
    undisturbed = Undisturbed(on_small_disk)
    undisturbed.prepare(Work())
    # When the disk of a worker is full, and a run is requested
    folder = on_small_disk.layout.run / "worker-1"
    fill(folder)
    analysis = submit(on_small_disk, Work())
    # Then the other worker does what this one cannot
    check_promise(on_small_disk, [undisturbed.completed(analysis)], within=120)
    clear(folder)
