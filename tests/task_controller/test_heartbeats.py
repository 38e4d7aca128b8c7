"""Heartbeats: they renew what they list and nothing else, answer for what ended, and wait for nobody."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.task_controller.heartbeats import Heartbeats
from services.task_controller.settings import Settings
from shared import names
from shared.core.inputs import FileRef
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Attempt, Canary, Run, SubTask, Worker
from shared.messages.catalogue import (
    AttemptBeat,
    AttemptFinished,
    AttemptRefused,
    AttemptSettled,
    CanarySent,
    Grant,
    StartRun,
    StopRun,
)
from shared.messages.envelope import encode
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.wire import Talker, bodies_in, heard
from tests.task_controller.world import World, cancel_is_heard

pytestmark = pytest.mark.integration


@pytest.fixture
def heartbeats(world: World, broker: MemoryBroker, settings: Settings) -> Heartbeats:
    """The consumer of heartbeats, driven by the tests."""
    return Heartbeats(world.engine, broker, settings)


@pytest.fixture
def talker(rabbit: MemoryServer) -> Iterator[Talker]:
    """A worker called w1."""
    made = Talker(rabbit)
    yield made
    made.broker.close()


@pytest.fixture
def chunks(world: World) -> list[Grant]:
    """Two attempts that w1 holds, of one run."""
    world.started(RunKind.GENERATE_INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    return [world.granted(), world.granted()]


def renewals(world: World, grant: Grant) -> tuple[str, int]:
    """The state of an attempt and how often it was renewed."""
    row = world.attempt(grant.attempt_id)
    return row.state, row.renewals


def test_a_heartbeat_renews_only_what_it_lists(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    before = world.attempt(chunks[0].attempt_id).lease_until
    for _ in range(2):
        talker.beat(chunks[0])
        heard(heartbeats)
    assert renewals(world, chunks[0]) == ("running", 2)
    assert renewals(world, chunks[1]) == ("granted", 0)
    assert world.attempt(chunks[0].attempt_id).lease_until > before


def test_a_heartbeat_never_renews_what_another_worker_holds(
    world: World, heartbeats: Heartbeats, rabbit: MemoryServer, chunks: list[Grant]
) -> None:
    other = Talker(rabbit, "w2")
    other.beat(chunks[0])
    heard(heartbeats)
    assert renewals(world, chunks[0]) == ("granted", 0)
    other.broker.close()


def test_only_a_heartbeat_that_lists_attempts_is_answered_once_it_was_committed(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    talker.beat()
    heard(heartbeats)
    assert talker.hears(timeout=0.2) is None
    assert talker.beats_answered == 0
    talker.beat(*chunks)
    heard(heartbeats)
    assert talker.hears(timeout=0.2) is None
    assert talker.beats_answered == 1


def test_heartbeats_keep_the_registry_of_workers(world: World, heartbeats: Heartbeats, talker: Talker) -> None:
    talker.beat(host="alpha", slots=4, free_slots=4, fleet_name="fleet-1")
    heard(heartbeats)
    talker.beat(host="alpha", slots=4, free_slots=1, draining=True)
    heard(heartbeats)
    with world.engine.connect() as connection:
        row = connection.execute(select(Worker.__table__)).one()
    assert (row.worker_id, row.host, row.slots, row.free_slots, row.draining) == ("w1", "alpha", 4, 1, True)
    assert (row.beats, row.fleet_name) == (2, "fleet-1")
    assert row.first_seen < row.last_seen


def test_a_finished_manifest_in_a_heartbeat_settles_a_run_whose_report_was_lost(
    world: World, heartbeats: Heartbeats, talker: Talker
) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    world.work_up_to("cleanup-input-generation")
    grant = world.granted()
    report = AttemptFinished(grant.attempt_id, "w1", artifacts={"out": FileRef("k", "n")})
    for _ in range(2):
        talker.beat(finished=(report,))
        heard(heartbeats)
        assert talker.hears() == AttemptSettled(grant.attempt_id)
    assert world.run_state(run_id) == "COMPLETED"


def test_a_finished_manifest_of_an_older_attempt_is_answered_refused(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    world.died()
    world.end_back_off()
    newer = [world.granted(worker="w2"), world.granted(worker="w2")]
    assert {each.sub_task_id for each in newer} == {each.sub_task_id for each in chunks}
    talker.beat(finished=(AttemptFinished(chunks[0].attempt_id, "w1"),))
    heard(heartbeats)
    assert talker.hears() == AttemptRefused(chunks[0].attempt_id, "a newer attempt has been granted")


def test_a_worker_hears_that_a_newer_attempt_has_been_granted(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    talker.beat(*chunks)
    heard(heartbeats)
    world.finish(chunks[0], Cause.DRAINED)
    assert world.granted(worker="w2").sub_task_id == chunks[0].sub_task_id
    talker.beat(*chunks)
    heard(heartbeats)
    assert talker.hears() == AttemptRefused(chunks[0].attempt_id, "a newer attempt has been granted")
    assert talker.hears(timeout=0) is None


def test_a_lost_attempt_that_is_still_acceptable_is_left_to_compute(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    talker.beat(*chunks)
    heard(heartbeats)
    world.died()
    talker.beat(*chunks)
    heard(heartbeats)
    assert talker.hears(timeout=0) is None
    assert renewals(world, chunks[0]) == ("lost", 1)
    assert isinstance(world.finish(chunks[0]), AttemptSettled)


def test_a_worker_hears_of_a_cancel_in_the_answer_to_its_heartbeat(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    cancel_is_heard(world, chunks[0].run_id)
    talker.beat(chunks[0])
    heard(heartbeats)
    assert talker.hears() == StopRun(chunks[0].run_uuid)


def test_a_worker_hears_that_an_attempt_is_not_known_or_over(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    unknown = uuid4()
    talker.beat(AttemptBeat(unknown))
    heard(heartbeats)
    assert talker.hears() == AttemptRefused(unknown, "this attempt is not known")
    cancel_is_heard(world, chunks[0].run_id)
    for grant in chunks:
        world.finish(grant, Cause.CANCELLED)
    talker.beat(chunks[0])
    heard(heartbeats)
    assert talker.hears() == AttemptRefused(chunks[0].attempt_id, "the attempt is cancelled, its run CANCELLED")


def progress(world: World, grant: Grant) -> tuple[int, int]:
    """Events complete and in total, of a sub-task."""
    (row,) = [row for row in world.sub_tasks(grant.run_id) if row.id == grant.sub_task_id]
    return row.events_complete, row.events_total


def test_progress_of_the_newest_attempt_counts_and_what_an_earlier_one_has_reached_stays(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    for complete in (3, 7, 5):
        talker.beat(AttemptBeat(chunks[0].attempt_id, 10, complete))
        heard(heartbeats)
    assert progress(world, chunks[0]) == (7, 10)
    world.finish(chunks[0], Cause.DRAINED)
    newer = world.granted(worker="w2")
    talker.beat(AttemptBeat(chunks[0].attempt_id, 10, 9))
    talker.beat(AttemptBeat(newer.attempt_id, 10, 2))
    heard(heartbeats)
    assert progress(world, chunks[0]) == (7, 10)
    talker.beat(AttemptBeat(newer.attempt_id, 10, 8))
    heard(heartbeats)
    assert progress(world, chunks[0]) == (8, 10)


def test_heartbeats_wait_for_no_decision(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    talker.beat(*[AttemptBeat(grant.attempt_id, 10, 5) for grant in chunks])
    # A decision on the first attempt is about to be committed.
    with ThreadPoolExecutor(1) as pool, world.engine.begin() as connection:
        connection.execute(select(Run.id).with_for_update())
        connection.execute(select(SubTask.id).where(SubTask.id == chunks[0].sub_task_id).with_for_update())
        of_first = Attempt.attempt_id == chunks[0].attempt_id
        connection.execute(select(Attempt.attempt_id).where(of_first).with_for_update())
        pool.submit(heard, heartbeats).result(timeout=20)
    assert renewals(world, chunks[0]) == ("granted", 0)
    assert renewals(world, chunks[1]) == ("running", 1)
    assert (progress(world, chunks[0]), progress(world, chunks[1])) == ((0, 0), (5, 10))


def test_a_heartbeat_that_cannot_be_handled_is_parked_and_the_others_are_taken(
    world: World, heartbeats: Heartbeats, rabbit: MemoryServer, talker: Talker, chunks: list[Grant]
) -> None:
    strange = Talker(rabbit, "w3")
    strange.beat(host="h" * 300)
    talker.beat(chunks[0])
    talker.say(b"not a heartbeat", StartRun(1), to=names.HEARTBEAT_QUEUE)
    heard(heartbeats)
    assert renewals(world, chunks[0]) == ("running", 1)
    parked = bodies_in(rabbit, names.PARKED_QUEUE)
    assert b"not a heartbeat" in parked
    assert encode(StartRun(1)) in parked
    assert len(parked) == 3
    strange.broker.close()


def test_a_manifest_that_cannot_be_kept_ends_its_attempt_counted(
    world: World, heartbeats: Heartbeats, talker: Talker, chunks: list[Grant]
) -> None:
    bad = AttemptFinished(chunks[0].attempt_id, "w1", log_key="x" * 2000)
    good = AttemptFinished(chunks[1].attempt_id, "w1")
    talker.beat(finished=(bad, good))
    heard(heartbeats)
    assert {talker.hears(), talker.hears()} == {AttemptSettled(each.attempt_id) for each in chunks}
    assert world.attempt(chunks[0].attempt_id).cause == "unreadable result"
    assert world.state_of("prepare-keys-file-1") == "COMPLETED"


def test_the_newest_canary_is_noted(world: World, heartbeats: Heartbeats, talker: Talker) -> None:
    talker.say(CanarySent("r", 1), CanarySent("r", 2), CanarySent("s", 9), to=names.HEARTBEAT_QUEUE)
    heard(heartbeats)
    talker.say(CanarySent("r", 3), to=names.HEARTBEAT_QUEUE)
    heard(heartbeats)
    with world.engine.connect() as connection:
        rows = connection.execute(select(Canary.reaper_id, Canary.value).order_by(Canary.reaper_id)).all()
    assert [tuple(row) for row in rows] == [("r", 3), ("s", 9)]
