"""What only a fleet of a Swarm does: it waits for hosts, reads the Swarm's secrets, and says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.worker_controller.errors import FleetError
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.swarm_fleet import SwarmFleet
from tests.worker_controller.fleets import WAITS, SwarmBackend
from tests.worker_controller.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.integration]

EATS_MEMORY = "held = [bytearray(8_000_000) for _ in range(100)]"
READS_SECRET = "raise SystemExit(7 if open('/run/secrets/password').read() == 'hush' else 1)"


@pytest.fixture
def hosts(swarm: None) -> Iterator[SwarmBackend]:
    """A Swarm without workers of ours."""
    opened = SwarmBackend()
    with opened.fleet:
        yield opened
        opened.clear()


def test_a_worker_that_fits_no_host_waits_and_says_why_until_it_is_killed(hosts: SwarmBackend) -> None:
    hosts.fleet.start("one", replace(hosts.model(WAITS), cpus=1000.0))
    eventually(lambda: hosts.member("one").waiting, "it says why it waits")
    assert "insufficient resources on" in hosts.member("one").waiting
    assert (hosts.member("one").ended, hosts.member("one").age) == (None, 0.0)
    hosts.fleet.kill("one")
    eventually(lambda: hosts.member("one").ended is not None, "it has ended")
    end = hosts.member("one").ended
    assert end is not None
    assert not end.in_order


def test_a_worker_that_reaches_its_memory_limit_ends_as_out_of_memory(hosts: SwarmBackend) -> None:
    hosts.fleet.start("one", replace(hosts.model(EATS_MEMORY), memory="64m", cpus=0.5))
    eventually(lambda: hosts.member("one").ended is not None, "it has ended")
    end = hosts.member("one").ended
    assert end is not None
    assert end.reason.startswith("out of memory")


def test_a_secret_of_the_swarm_is_a_file_of_the_worker(hosts: SwarmBackend) -> None:
    name = f"lossline-tests-{hosts.fleet.namespace}"
    secret = hosts.engine.secrets.create(name=name, data=b"hush")
    try:
        hosts.fleet.start("one", replace(hosts.model(READS_SECRET), secrets=(f"{name}:password",)))
        eventually(lambda: hosts.member("one").ended is not None, "it has ended")
        end = hosts.member("one").ended
        assert end is not None
        assert end.exit_status == 7, hosts.log("one")
    finally:
        hosts.fleet.forget("one")
        secret.remove()
    with pytest.raises(FleetError, match=f"the Swarm has no secret {name}; make it"):
        hosts.fleet.start("one", replace(hosts.model(WAITS), secrets=(f"{name}:password",)))
    assert list(hosts.fleet.members()) == []


def test_an_image_that_no_host_has_is_named_as_the_reason_of_the_end(hosts: SwarmBackend) -> None:
    with pytest.raises(FleetError, match="S-M-1-v2 has no image"):
        hosts.fleet.start("one", ModelEntry("S", "M", "1"))
    hosts.fleet.start("one", ModelEntry("S", "M", "1", image="127.0.0.1:9/nobody/has-this:1"))
    eventually(lambda: hosts.member("one").ended is not None, "it has ended")
    end = hosts.member("one").ended
    assert end is not None
    assert "nobody/has-this:1" in end.reason


def test_workers_of_another_controller_are_no_members(hosts: SwarmBackend) -> None:
    hosts.fleet.start("one", hosts.model(WAITS))
    with SwarmFleet("another", {}) as other:
        assert list(other.members()) == []
        other.forget("one")
    assert hosts.member("one").ended is None
