"""The cost of a batch does not grow with the run: 10,000 chunks take as many SQL statements as 40."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event

from shared.core.states import RunKind
from shared.messages.catalogue import AttemptFinished, CancelRun, ClaimWork, Grant, StartRun
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration

AT_ONCE = 16


@contextmanager
def counted(engine: Engine, into: dict[str, int], name: str) -> Iterator[None]:
    """Count the statements sent inside; one with many parameter sets counts once."""

    def count(*_: Any) -> None:
        into[name] = into.get(name, 0) + 1

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


def statements_of(world: World, chunks: int) -> dict[str, int]:
    """How many statements each kind of batch takes in a run of so many chunks."""
    spent: dict[str, int] = {}
    run_id = world.request(world.analysis("READY"), RunKind.GENERATE_LOSSES, losses=chunks)
    with counted(world.engine, spent, "plan"):
        world.tell(StartRun(run_id))
    world.finish(world.granted())
    directory = world.granted()
    with counted(world.engine, spent, "queue the parallel section"):
        world.finish(directory)
    with counted(world.engine, spent, "claim"):
        replies = world.tell(*[ClaimWork(uuid4(), "w1", MODEL_QUEUE, slot) for slot in range(AT_ONCE)])
    grants: list[Grant] = [reply.message.grant for reply in replies]  # type: ignore[attr-defined]
    assert all(grants)
    reports = [AttemptFinished(grant.attempt_id, "w1", claim=next_claim(at)) for at, grant in enumerate(grants)]
    with counted(world.engine, spent, "settle and claim"):
        replies = world.tell(*reports)
    grants = [reply.message.grant for reply in replies]  # type: ignore[attr-defined]
    assert all(grants)
    with counted(world.engine, spent, "settle"):
        world.tell(*[AttemptFinished(grant.attempt_id, "w1") for grant in grants])
    held = world.granted()
    world.cancel(run_id)
    with counted(world.engine, spent, "cancel"):
        world.tell(CancelRun(run_id))
    assert world.run_state(run_id) == "CANCELLING"
    world.finish(held)
    world.check_counters(run_id)
    return spent


def next_claim(slot: int) -> ClaimWork:
    """The claim that comes with a report."""
    return ClaimWork(uuid4(), "w1", MODEL_QUEUE, slot, by_token=False)


def test_a_run_of_10000_chunks_takes_as_many_statements_as_one_of_40(world: World) -> None:
    small, large = statements_of(world, 40), statements_of(world, 10_000)
    assert large == small
    assert max(large.values()) < 25, large
    assert large["settle and claim"] <= 14, large
