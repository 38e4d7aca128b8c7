"""One broken platform for all tests that leave it healed."""

import os
from collections.abc import Iterator

import pytest

from services.embedded.rabbitmq_node import find_server
from tests.faults.platform.analyses import Work
from tests.faults.platform.platform import BrokenPlatform, broken_platform
from tests.faults.platform.undisturbed import Undisturbed


@pytest.fixture(scope="package")
def running() -> Iterator[BrokenPlatform]:
    """A whole platform; it must be healed after every test."""
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")
    with broken_platform() as platform:
        yield platform


@pytest.fixture(scope="package")
def undisturbed(running: BrokenPlatform) -> Undisturbed:
    """What undisturbed runs leave."""
    known = Undisturbed(running)
    known.prepare(Work())
    return known


@pytest.fixture
def platform(running: BrokenPlatform, undisturbed: Undisturbed) -> Iterator[BrokenPlatform]:
    """The platform, whole; and healed afterwards whatever has happened."""
    running.wait_ready()
    yield running
    running.heal()
