"""Progress of a run as clients read it: counted by attempt, and never backwards, with many chunks and retries too."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from sqlalchemy.orm import Session

from services.api.progress import progress_of
from services.task_controller.heartbeats import Heartbeats
from services.task_controller.settings import Settings
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.messages.catalogue import AttemptBeat, Grant
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.task_controller.wire import Talker, heard
from tests.task_controller.world import World

pytestmark = pytest.mark.integration

EVENTS = 1000


@pytest.fixture
def talker(rabbit: MemoryServer) -> Iterator[Talker]:
    """A worker called w1."""
    made = Talker(rabbit)
    yield made
    made.broker.close()


@pytest.fixture
def heartbeats(world: World, broker: MemoryBroker, settings: Settings) -> Heartbeats:
    """The consumer of heartbeats, driven by the tests."""
    return Heartbeats(world.engine, broker, settings)


def events(world: World, run_id: int) -> tuple[int, int]:
    """Complete and in total, as the API says."""
    with Session(world.engine) as session:
        progress = progress_of(session, [run_id])[run_id]
    return progress.events_complete, progress.events_total


def chunks_of(world: World, count: int) -> tuple[int, list[Grant]]:
    """A run of losses whose chunks have all been granted to w1."""
    run_id = world.started(RunKind.GENERATE_LOSSES, losses=count)
    world.work_up_to("generate-losses-chunk-0")
    return run_id, [world.granted() for _ in range(count)]


def test_the_last_events_of_an_attempt_come_with_its_report(world: World) -> None:
    run_id, chunks = chunks_of(world, 2)
    assert events(world, run_id) == (0, 0)
    world.finish(chunks[0], events_total=EVENTS, events_complete=480)
    # An even share at least: kernels do not tell of their last events.
    assert events(world, run_id) == (EVENTS // 2, EVENTS)
    world.finish(chunks[1], events_total=EVENTS, events_complete=10)
    assert events(world, run_id) == (EVENTS, EVENTS)


def test_events_of_an_attempt_that_fails_or_is_refused_are_not_counted(world: World) -> None:
    run_id, chunks = chunks_of(world, 2)
    world.finish(chunks[0], Cause.MODEL_ERROR, events_total=EVENTS, events_complete=400)
    assert events(world, run_id) == (0, 0)
    world.finish(chunks[1], events_total=EVENTS, events_complete=500)
    world.finish(chunks[1], events_total=EVENTS, events_complete=900)
    assert events(world, run_id) == (500, EVENTS)


def test_a_sub_task_keeps_the_furthest_of_its_attempts(world: World, heartbeats: Heartbeats, talker: Talker) -> None:
    run_id, chunks = chunks_of(world, 1)
    talker.beat(AttemptBeat(chunks[0].attempt_id, EVENTS, 700))
    heard(heartbeats)
    world.finish(chunks[0], Cause.DRAINED)
    world.end_back_off()
    world.finish(world.granted(), events_total=EVENTS, events_complete=20)
    (row,) = [row for row in world.sub_tasks(run_id) if row.slug == "generate-losses-chunk-0"]
    assert (row.state, row.events_complete, row.events_total) == ("COMPLETED", 700, EVENTS)


def test_a_kernel_that_tells_too_much_is_not_believed(world: World, heartbeats: Heartbeats, talker: Talker) -> None:
    run_id, chunks = chunks_of(world, 2)
    talker.beat(AttemptBeat(chunks[0].attempt_id, EVENTS, 3 * EVENTS))
    heard(heartbeats)
    assert events(world, run_id) == (EVENTS, EVENTS)


@pytest.mark.parametrize("seed", range(3))
def test_progress_never_goes_backwards_whatever_becomes_of_many_chunks(
    world: World, heartbeats: Heartbeats, talker: Talker, seed: int
) -> None:
    random, count = Random(seed), 12  # noqa: S311 - a reproducible story
    run_id, held = chunks_of(world, count)
    done: dict[tuple[int, int], int] = {}
    furthest = 0
    while held:
        grant = random.choice(held)
        done[grant.fence, grant.sub_task_id] = told = min(
            EVENTS // count, done.get((grant.fence, grant.sub_task_id), 0) + random.randrange(40)
        )
        what = random.random()
        if what < 0.6:
            talker.beat(AttemptBeat(grant.attempt_id, EVENTS, told))
            heard(heartbeats)
        elif what < 0.8:
            held.remove(grant)
            world.finish(grant, Cause.DRAINED)
            world.end_back_off()
            held.append(world.granted())
        else:
            held.remove(grant)
            world.finish(grant, events_total=EVENTS, events_complete=told)
        complete, total = events(world, run_id)
        assert furthest <= complete <= total <= EVENTS
        furthest = complete
    assert furthest == EVENTS
