"""The reaper: it gives up what was silent for a lease while it could have heard it, and only then."""

import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, text

from services.task_controller import reaping
from services.task_controller.heartbeats import Heartbeats
from services.task_controller.metrics import Counted
from services.task_controller.reaping import Reaper
from services.task_controller.settings import Settings
from shared import names
from shared.core.states import RunKind
from shared.messages.catalogue import Grant
from shared.metrics import exposition
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.waiting import eventually
from tests.task_controller.wire import Talker, heard, running
from tests.task_controller.world import World

pytestmark = pytest.mark.integration


@dataclass
class Clock:
    """A monotonic clock that tests move."""

    now: float = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The reaper's clock."""
    made = Clock()
    monkeypatch.setattr(reaping, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def heartbeats(world: World, broker: MemoryBroker, settings: Settings) -> Heartbeats:
    """The consumer through which canaries come back."""
    return Heartbeats(world.engine, broker, settings)


@pytest.fixture
def counted() -> Counted:
    """What the reaper counts."""
    return Counted()


@pytest.fixture
def reaper(world: World, broker: MemoryBroker, settings: Settings, counted: Counted) -> Reaper:
    """A reaper, driven by the tests."""
    return Reaper(world.engine, broker, settings, counted)


@pytest.fixture
def grant(world: World) -> Grant:
    """An attempt that w1 holds."""
    world.started(RunKind.GENERATE_INPUTS)
    return world.granted()


def looks(world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats | None, leases: float) -> None:
    """Let the reaper look every twentieth of a second of its clock; canaries come back where somebody consumes."""
    with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(int(leases * world.settings.lease / 0.05)):
            reaper.look(connection)
            clock.now += 0.05
            if heartbeats is not None:
                heard(heartbeats)


def test_an_attempt_is_given_up_after_a_lease_of_silence(
    world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats, rabbit: MemoryServer, grant: Grant
) -> None:
    talker = Talker(rabbit)
    talker.beat(grant)
    heard(heartbeats)
    looks(world, reaper, clock, heartbeats, 0.9)
    assert world.attempt(grant.attempt_id).state == "running"
    looks(world, reaper, clock, heartbeats, 0.4)
    row = world.attempt(grant.attempt_id)
    assert (row.state, row.cause, row.message) == ("lost", "worker lost", "its worker was silent for 0.6 s")
    assert world.state_of("prepare-input-generation-params") == "QUEUED"
    talker.broker.close()


def test_a_grant_that_no_heartbeat_ever_listed_is_undelivered(
    world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats, grant: Grant
) -> None:
    looks(world, reaper, clock, heartbeats, 1.3)
    assert world.attempt(grant.attempt_id).state == "undelivered"
    assert world.sub_tasks(grant.run_id)[0].retry_count == 0


def test_what_is_given_up_is_counted(
    world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats, grant: Grant, counted: Counted
) -> None:
    looks(world, reaper, clock, heartbeats, 0.9)
    before = exposition([counted.expired])
    looks(world, reaper, clock, heartbeats, 0.4)
    assert "lossline_leases_expired_total 1.0" not in before
    assert "lossline_leases_expired_total 1.0" in exposition([counted.expired])
    assert 'lossline_sub_task_retries_total{cause="undelivered"} 1.0' in exposition([counted.retried])


def test_an_attempt_whose_worker_beats_is_never_given_up(
    world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats, rabbit: MemoryServer, grant: Grant
) -> None:
    talker = Talker(rabbit)
    for _ in range(8):
        talker.beat(grant)
        looks(world, reaper, clock, heartbeats, 0.5)
    assert world.attempt(grant.attempt_id).state == "running"
    talker.broker.close()


def test_nothing_is_given_up_while_canaries_do_not_return(
    world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats, grant: Grant
) -> None:
    looks(world, reaper, clock, None, 5)
    assert world.attempt(grant.attempt_id).state == "granted"
    heard(heartbeats)
    looks(world, reaper, clock, heartbeats, 0.9)
    assert world.attempt(grant.attempt_id).state == "granted"
    looks(world, reaper, clock, heartbeats, 0.4)
    assert world.attempt(grant.attempt_id).state == "undelivered"


def test_a_pause_of_the_reaper_restarts_its_watch(
    world: World, reaper: Reaper, clock: Clock, heartbeats: Heartbeats, grant: Grant
) -> None:
    looks(world, reaper, clock, heartbeats, 0.9)
    clock.now += 60
    looks(world, reaper, clock, heartbeats, 0.9)
    assert world.attempt(grant.attempt_id).state == "granted"


def test_the_canary_of_another_reaper_says_nothing(
    world: World, reaper: Reaper, clock: Clock, broker: MemoryBroker, heartbeats: Heartbeats, grant: Grant
) -> None:
    other = Reaper(world.engine, broker, world.settings)
    looks(world, other, clock, heartbeats, 0.2)
    looks(world, reaper, clock, None, 2)
    assert world.attempt(grant.attempt_id).state == "granted"


LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7145001"


def reigns(world: World) -> bool:
    """Whether a reaper holds the lock."""
    return bool(world.value(text(LOCKS)))


def test_a_reaper_that_stops_leaves_no_lock_behind_in_the_pool(world: World, reaper: Reaper) -> None:
    with running(reaper=reaper.run):
        eventually(lambda: reigns(world), "it reigns")
    assert not reigns(world)


def test_a_reaper_that_met_an_outage_of_the_broker_reigns_again(
    world: World, reaper: Reaper, broker: MemoryBroker, rabbit: MemoryServer
) -> None:
    with running(reaper=reaper.run):
        eventually(lambda: reigns(world), "it reigns")
        rabbit.available = False
        eventually(lambda: not reigns(world), "it steps down")
        rabbit.available = True
        before = broker.queue_depths([names.HEARTBEAT_QUEUE])[names.HEARTBEAT_QUEUE].messages
        eventually(
            lambda: broker.queue_depths([names.HEARTBEAT_QUEUE])[names.HEARTBEAT_QUEUE].messages > before + 2,
            "it looks again",
        )


def test_only_one_reaper_reigns_and_another_takes_over(world: World, broker: MemoryBroker, reaper: Reaper) -> None:
    def lock(connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_lock(7145001)"))

    other = world.engine.connect()
    other.detach()
    lock(other)
    with running(reaper=reaper.run):
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert broker.queue_depths([names.HEARTBEAT_QUEUE])[names.HEARTBEAT_QUEUE].messages == 0
        other.close()
        eventually(
            lambda: broker.queue_depths([names.HEARTBEAT_QUEUE])[names.HEARTBEAT_QUEUE].messages, "it takes over"
        )
