"""Why nobody serves a queue, as worker controllers say it."""

import pytest
from sqlalchemy import select

from shared.database.execution import UnservedQueue
from shared.messages.catalogue import QueueUnserved
from tests.task_controller.world import World

pytestmark = pytest.mark.integration


def said(world: World) -> list[tuple[str, str]]:
    with world.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(UnservedQueue.queue, UnservedQueue.reason))]


def test_the_last_word_on_a_queue_is_kept_with_its_time(world: World) -> None:
    reasons = (("one", "no image"), ("two", "the limit"), ("one", "exit status 2"))
    world.tell(*(QueueUnserved(queue, reason) for queue, reason in reasons))
    assert sorted(said(world)) == [("one", "exit status 2"), ("two", "the limit")]
    first = world.value(select(UnservedQueue.told_at).where(UnservedQueue.queue == "one"))
    world.tell(QueueUnserved("one", "no image"))
    assert dict(said(world))["one"] == "no image"
    assert world.value(select(UnservedQueue.told_at).where(UnservedQueue.queue == "one")) > first
