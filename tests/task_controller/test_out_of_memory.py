"""A sub-task that ran out of memory is tried once more, alone, and not beside an attempt that may still live."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from shared.core.plan import SlotWeight
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Attempt
from shared.messages.catalogue import Grant, Token
from tests.task_controller.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def chunk(world: World) -> Grant:
    """The first attempt of a chunk, on the worker w1."""
    world.started(RunKind.GENERATE_INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    return world.granted()


def waits(world: World, grant: Grant) -> timedelta:
    """From the end of the newest attempt until the sub-task may be granted again."""
    row = next(row for row in world.sub_tasks(grant.run_id) if row.id == grant.sub_task_id)
    ended = select(func.max(Attempt.ended_at)).where(Attempt.sub_task_id == grant.sub_task_id)
    return row.not_before - world.value(ended)


def lost(world: World, grant: Grant) -> Grant:
    """Give the attempt up while its worker may live; the next one, on the worker w2."""
    world.finish(grant, Cause.LOST)
    world.end_back_off()
    again = world.claim(worker="w2")
    while again is not None and again.sub_task_id != grant.sub_task_id:
        again = world.claim(worker="w2")
    assert again is not None
    return again


def test_it_is_tried_once_more_and_then_with_all_slots_of_its_worker(world: World, chunk: Grant) -> None:
    assert chunk.weight == SlotWeight.ONE
    world.finish(chunk, Cause.OUT_OF_MEMORY, message="too much", peak_memory=2**31)
    assert waits(world, chunk) <= timedelta(seconds=1)
    world.end_back_off()
    again = world.granted()
    assert (again.sub_task_id, again.weight) == (chunk.sub_task_id, SlotWeight.ALL)
    assert world.attempt(chunk.attempt_id).peak_memory == 2**31
    world.finish(again, Cause.OUT_OF_MEMORY, message="too much again")
    assert world.states(chunk.run_id)[chunk.slug] == "ERROR"
    assert world.status(chunk.run_id) == "INPUTS_GENERATION_ERROR"


def test_it_waits_until_a_lost_attempt_has_fenced_itself(world: World, chunk: Grant) -> None:
    again = lost(world, chunk)
    world.finish(again, Cause.OUT_OF_MEMORY, worker="w2")
    assert timedelta(seconds=290) < waits(world, chunk) <= timedelta(seconds=300)
    row = next(row for row in world.sub_tasks(chunk.run_id) if row.id == chunk.sub_task_id)
    assert world.posted(Token)[-1].not_before == row.not_before


def test_it_does_not_wait_for_a_worker_that_was_seen_dead(world: World, chunk: Grant) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO workers (worker_id, queue, host, slots, free_slots, draining)"
            " VALUES ('w1', 'q', 'h', 1, 0, false)"
        )
    again = lost(world, chunk)
    world.died("w1")
    world.finish(again, Cause.OUT_OF_MEMORY, worker="w2")
    assert waits(world, chunk) <= timedelta(seconds=2)


def test_an_error_of_the_model_does_not_wait_for_a_lost_attempt(world: World, chunk: Grant) -> None:
    again = lost(world, chunk)
    world.finish(again, Cause.MODEL_ERROR, worker="w2")
    assert waits(world, chunk) <= timedelta(seconds=2)
