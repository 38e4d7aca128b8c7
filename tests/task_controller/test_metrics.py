"""Figures of what waits, runs and has ended."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import event

from services.task_controller.handlers import Reply
from services.task_controller.metrics import FRESH, Counted, Looks
from services.task_controller.settings import Settings
from shared import names
from shared.broker.port import OutgoingMessage
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.engine import open_engine
from shared.database.execution import Outbox
from shared.messages.catalogue import AttemptFinished, AttemptRefused, AttemptSettled, ClaimAnswered
from shared.metrics import exposition
from tests.fakes.broker import MemoryBroker
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration


@pytest.fixture
def figures(world: World, broker: MemoryBroker) -> Callable[[], list[str]]:
    """The lines of a first look."""

    def look() -> list[str]:
        return exposition(Looks(world.engine, broker).gauges()).splitlines()

    return look


def test_what_waits_is_told_by_queue_and_priority(world: World, figures: Callable[[], list[str]]) -> None:
    world.started(RunKind.GENERATE_INPUTS)

    lines = figures()

    place = f'{{priority="4",queue="{MODEL_QUEUE}"}}'
    assert f"lossline_sub_tasks_ready{place} 1.0" in lines
    assert f"lossline_sub_tasks_running{place} 0.0" in lines
    assert any(line.startswith(f"lossline_sub_task_oldest_ready_seconds{place} ") for line in lines)


def test_what_is_due_and_not_published_is_told(world: World, figures: Callable[[], list[str]]) -> None:
    before = figures()
    with world.engine.begin() as connection:
        connection.execute(Outbox.__table__.insert().values(routing_key="q", body=b""))

    assert "lossline_outbox_messages 0.0" in before
    assert "lossline_outbox_messages 1.0" in figures()


def test_parked_messages_are_told(broker: MemoryBroker, figures: Callable[[], list[str]]) -> None:
    broker.publish([OutgoingMessage("", names.PARKED_QUEUE, b"unreadable")])

    assert "lossline_parked_messages 1.0" in figures()


def test_whoever_asks_at_once_gets_what_was_read(world: World, broker: MemoryBroker) -> None:
    now, statements = [0.0], []
    event.listen(world.engine, "before_cursor_execute", lambda *_: statements.append(1))
    gauges = Looks(world.engine, broker, lambda: now[0]).gauges()
    exposition(gauges)
    first = len(statements)

    exposition(gauges)
    assert len(statements) == first > 0

    now[0] = FRESH
    exposition(gauges)
    assert len(statements) == 2 * first


def test_without_its_database_the_controller_still_answers(settings: Settings, broker: MemoryBroker) -> None:
    nowhere = open_engine(settings.database.set(query={"host": "/nowhere"}), name="tests", pool_size=1)

    lines = exposition(Looks(nowhere, broker).gauges()).splitlines()

    assert "lossline_parked_messages 0.0" in lines
    assert not [line for line in lines if line.startswith("lossline_outbox_messages")]


def test_attempts_are_counted_by_what_they_ended_of() -> None:
    counted, (done, lost, refused) = Counted(), (uuid4(), uuid4(), uuid4())
    reports = [AttemptFinished(done, "w"), AttemptFinished(lost, "w", Cause.LOST), AttemptFinished(refused, "w")]
    answers = [ClaimAnswered(uuid4(), settled=done), AttemptSettled(lost), AttemptRefused(refused, "old")]

    counted.settled(reports, [Reply("w", answer) for answer in answers])

    lines = exposition([counted.ended]).splitlines()
    assert lines[2:] == [
        'lossline_attempts_ended_total{cause="completed"} 1.0',
        f'lossline_attempts_ended_total{{cause="{Cause.LOST}"}} 1.0',
    ]
