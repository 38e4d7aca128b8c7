"""What the doctor reads from a real database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, Engine, create_engine, select, text, update

from services.embedded.doctor.collect_database import clock_ahead, database_facts
from services.embedded.doctor.facts import (
    DatabaseFacts,
    Execution,
    ExpiredLease,
    LiveWorker,
    OpenRun,
    ReadyQueue,
    Unreachable,
    UnsentMessages,
)
from services.embedded.ports import free_port
from shared.core.states import AttemptState, RunState, SubTaskState
from shared.database.execution import Outbox
from shared.database.resources import Analysis
from tests.embedded_commands.rows import MODEL_QUEUE, Rows
from tests.fakes.database import DatabaseServer

pytestmark = pytest.mark.integration


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return Rows(engine)


def facts_of(url: URL) -> DatabaseFacts:
    facts = database_facts(url)
    assert isinstance(facts, DatabaseFacts), facts
    return facts


def executed(url: URL) -> Execution:
    execution = facts_of(url).execution
    assert execution is not None
    return execution


def test_a_new_database_has_nothing_to_tell(database: URL) -> None:
    facts = facts_of(database)
    assert facts.schema.revision == facts.schema.head
    assert facts.schema.is_known
    assert facts.execution is not None
    assert facts.execution == Execution(facts.execution.now)
    assert abs(facts.clock_ahead) < 1


def test_leases_that_have_expired_are_read_with_what_they_are_for(database: URL, rows: Rows) -> None:
    # Given attempts whose leases have expired, live and ended, and one whose lease has not
    run = rows.run(RunState.ACTIVE, requested=100, analysis_id=(analysis := rows.analysis()))
    late = [rows.sub_task(run, SubTaskState.STARTED, chunk) for chunk in range(4)]
    rows.attempt(late[0], run, "w1", rows.ago(40))
    rows.attempt(late[1], run, "w1", rows.ago(50), state=AttemptState.GRANTED)
    rows.attempt(late[2], run, "w2", rows.ago(60), state=AttemptState.LOST)
    rows.attempt(late[3], run, "w3", rows.ago(-3600))
    # Then the live ones that have expired are told, the oldest first
    assert executed(database).leases == (
        ExpiredLease("w1", "losses-1", analysis, rows.ago(50)),
        ExpiredLease("w1", "losses-0", analysis, rows.ago(40)),
    )


def test_what_is_ready_is_counted_by_queue_since_the_oldest(database: URL, rows: Rows) -> None:
    # Given queued sub-tasks, of which one waits for its retry, one was retried, and one is of a run that is stopped
    run = rows.run(RunState.ACTIVE, requested=100)
    stopped = rows.run(RunState.CANCELLING, requested=100)
    queued = SubTaskState.QUEUED
    rows.sub_task(run, queued, 0, queue_time=rows.ago(90), not_before=rows.ago(20))
    rows.sub_task(run, queued, 1, queue_time=rows.ago(30))
    rows.sub_task(run, queued, 2, queue_time=rows.ago(500), not_before=rows.ago(-3600))
    rows.sub_task(run, SubTaskState.STARTED, 3, queue_time=rows.ago(500))
    rows.sub_task(stopped, queued, 0, queue_time=rows.ago(500))
    rows.sub_task(run, queued, 4, queue_time=rows.ago(7), queue="celery-v2")
    # And what a worker controller says of one queue now, and has said of another
    rows.unserved(MODEL_QUEUE, "no image", 3)
    rows.unserved("celery-v2", "no longer so", 60)
    # Then those that a worker could have now are counted
    assert executed(database).ready == (
        ReadyQueue(MODEL_QUEUE, 2, rows.ago(30), "no image"),
        ReadyQueue("celery-v2", 1, rows.ago(7)),
    )


def test_workers_live_while_they_beat(database: URL, rows: Rows) -> None:
    rows.worker("w1")
    rows.worker("w2", draining=True)
    rows.worker("w3", seen=30)
    rows.worker("w4", died_at=rows.ago(1))
    assert executed(database).workers == (
        LiveWorker("w1", MODEL_QUEUE, "host-1", 2, is_draining=False),
        LiveWorker("w2", MODEL_QUEUE, "host-1", 2, is_draining=True),
    )


def test_the_outbox_is_late_when_rows_are_due_and_unsent(database: URL, engine: Engine, rows: Rows) -> None:
    # Given rows that are new, sent, or to be sent later
    rows.outbox(created=-3600)
    rows.outbox(created=60, sent_at=rows.ago(50))
    rows.outbox(created=60, not_before=rows.ago(-3600))
    # Then nothing is late
    assert executed(database).unsent is None
    # But rows that are due for longer than the relay takes are
    rows.outbox(created=60, not_before=rows.ago(40))
    rows.outbox(created=30)
    assert executed(database).unsent == UnsentMessages(2, rows.ago(40))
    with engine.begin() as connection:
        connection.execute(update(Outbox).values(sent_at=rows.now))
    assert executed(database).unsent is None


def test_open_runs_are_read_with_what_moves_and_when_they_were_last_heard_of(database: URL, rows: Rows) -> None:
    requested = rows.run(RunState.REQUESTED, requested=80)
    active = rows.run(RunState.ACTIVE, requested=200)
    rows.stage(active, queued=1, started=2)
    idle = rows.run(RunState.ACTIVE, requested=200)
    rows.stage(idle, completed=1)
    rows.sub_task(idle, SubTaskState.COMPLETED, end_time=rows.ago(70))
    rows.run(RunState.COMPLETED, requested=300, ended_at=rows.ago(10))
    runs = {run.run_id: run for run in executed(database).runs}
    assert runs.keys() == {requested, active, idle}
    assert (runs[requested].moving, runs[requested].since) == (0, rows.ago(80))
    assert runs[active].moving == 3
    assert (runs[idle].state, runs[idle].moving, runs[idle].since) == (RunState.ACTIVE, 0, rows.ago(70))


def test_a_run_that_is_stopped_counts_from_its_cancel(database: URL, rows: Rows) -> None:
    analysis = rows.analysis(status="RUN_CANCELLED", task_finished=rows.ago(90))
    run = rows.run(RunState.CANCELLING, requested=4000, analysis_id=analysis)
    rows.stage(run, started=1)
    rows.sub_task(run, SubTaskState.COMPLETED, end_time=rows.ago(2000))
    assert executed(database).runs == (OpenRun(run, analysis, RunState.CANCELLING, 1, rows.ago(90)),)


def test_a_run_that_is_stopped_counts_from_the_next_request_at_the_latest(
    database: URL, engine: Engine, rows: Rows
) -> None:
    # Given a cancelled run whose analysis has been run, and has finished, since
    analysis = rows.analysis(status="RUN_CANCELLED", task_finished=rows.ago(5))
    stopped = rows.run(RunState.CANCELLING, requested=4000, analysis_id=analysis)
    rows.run(RunState.CANCELLED, requested=300, analysis_id=analysis, ended_at=rows.ago(5))
    # Then what the newer run did is not taken for a sign of the old one
    (run,) = executed(database).runs
    assert (run.run_id, run.since) == (stopped, rows.ago(300))
    with engine.connect() as connection:
        assert connection.execute(select(Analysis.task_finished)).scalar_one() == rows.ago(5)


def test_a_database_without_tables_is_told_from_one_that_is_old_or_newer(server: DatabaseServer, database: URL) -> None:
    server.server.create_database("empty")
    facts = facts_of(server.url("empty"))
    assert (facts.schema.revision, facts.execution) == (None, None)
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    newer = facts_of(database)
    assert (newer.schema.revision, newer.schema.is_known, newer.execution) == ("9999", False, None)


def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    url = URL.create("postgresql", "ana", "hidden", "127.0.0.1", free_port(), "losses")
    facts = database_facts(url)
    assert isinstance(facts, Unreachable)
    assert facts.where == f"127.0.0.1:{url.port}/losses"
    assert "refused" in facts.reason
    assert "hidden" not in str(facts)


def test_a_database_with_another_name_is_not_there(server: DatabaseServer) -> None:
    facts = database_facts(server.url("no_such_database"))
    assert isinstance(facts, Unreachable)
    assert "no_such_database" in facts.reason


@pytest.mark.parametrize(
    ("there", "took", "ahead"),
    [(-3.0, 0.5, 3.0), (3.0, 0.5, -2.5), (0.2, 0.5, 0.0), (0.0, 0.0, 0.0), (0.6, 0.5, -0.1)],
)
def test_the_time_that_asking_takes_is_no_difference_of_clocks(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, there: float, took: float, ahead: float
) -> None:
    # Given a database whose clock shows `there` seconds more, and which answers after `took` seconds
    moments = iter([100.0, 100.0 + took])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))

    class Answer:
        def scalar_one(self) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=there)

    class Slow:
        def execute(self, _query: object) -> Answer:
            return Answer()

    assert clock_ahead(Slow()) == pytest.approx(ahead, abs=0.05)
