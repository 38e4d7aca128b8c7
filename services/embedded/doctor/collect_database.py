"""What the database says, in one read-only snapshot."""

import time
from datetime import UTC, datetime, timedelta

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, ColumnElement, Connection, Engine, Executable, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from services.embedded.doctor.facts import (
    DatabaseFacts,
    Execution,
    ExpiredLease,
    LiveWorker,
    OpenRun,
    ReadyQueue,
    Schema,
    Unreachable,
    UnsentMessages,
)
from services.embedded.reach import database_place
from shared.core.states import LIVE_ATTEMPTS, RunState, SubTaskState
from shared.database.engine import open_engine
from shared.database.execution import UNREPEATED, Attempt, Outbox, Run, StageRow, SubTask, UnservedQueue, Worker
from shared.database.migrations import configuration
from shared.database.resources import Analysis

_PATIENCE = "SET LOCAL statement_timeout = '10s'"
_LIVE = timedelta(seconds=10)
"""A worker whose last heartbeat is older is not counted as live."""
_OVERDUE = timedelta(seconds=5)


def database_facts(url: URL) -> DatabaseFacts | Unreachable:
    """Look at the database at `url`."""
    engine = open_engine(url, name="lossline-doctor", pool_size=1)
    try:
        return _look(engine)
    except SQLAlchemyError as error:
        return Unreachable("database", database_place(url), _first_line(error))
    finally:
        engine.dispose()


def _look(engine: Engine) -> DatabaseFacts:
    snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with snapshot as connection, connection.begin():
        connection.execute(text(_PATIENCE))
        schema = schema_of(connection, engine.url)
        same = schema.revision == schema.head
        return DatabaseFacts(schema, clock_ahead(connection), execution(connection) if same else None)


def schema_of(connection: Connection, url: URL) -> Schema:
    """The revision of the database, and the newest one."""
    scripts = ScriptDirectory.from_config(configuration(url))
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    return Schema(revision, str(scripts.get_current_head()), revision in known)


def clock_ahead(connection: Connection) -> float:
    """Seconds that this machine is ahead of the database, towards zero by the time that asking took."""
    began = datetime.now(UTC)
    start = time.monotonic()
    there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    took = time.monotonic() - start
    ahead = (began - there).total_seconds()  # asked at `began`, answered at most `took` later
    return ahead if ahead > 0 else min(0.0, ahead + took)


def execution(connection: Connection) -> Execution:
    """What is executed, by the time at which the snapshot was taken."""
    return Execution(
        now=connection.execute(select(func.now())).scalar_one(),
        leases=tuple(ExpiredLease(*row) for row in connection.execute(_expired_leases())),
        ready=tuple(ReadyQueue(*row) for row in connection.execute(_ready_queues())),
        workers=tuple(LiveWorker(*row) for row in connection.execute(_live_workers())),
        unsent=_unsent(connection),
        runs=tuple(
            OpenRun(row.id, row.analysis_id, RunState(row.state), row.moving, row.since, row.portfolio_id)
            for row in connection.execute(_open_runs())
        ),
    )


def _expired_leases() -> Executable:
    late = Attempt.state.in_(sorted(LIVE_ATTEMPTS)), Attempt.lease_until < func.now()
    columns = select(Attempt.worker_id, SubTask.slug, Run.analysis_id, Attempt.lease_until, Run.portfolio_id)
    joined = columns.join(SubTask, SubTask.id == Attempt.sub_task_id).join(Run, Run.id == Attempt.run_id)
    return joined.where(*late).order_by(Attempt.lease_until)


def _ready_queues() -> Executable:
    since = func.greatest(SubTask.queue_time, SubTask.not_before)  # ignores what is null
    told = UnservedQueue.queue == SubTask.queue, UnservedQueue.told_at >= func.now() - UNREPEATED
    reason = select(UnservedQueue.reason).where(*told).scalar_subquery()
    columns = select(SubTask.queue, func.count(), func.coalesce(func.min(since), func.now()), reason)
    # A run that is to be stopped still has QUEUED rows for a moment; no worker can have them.
    ready = columns.join(Run, Run.id == SubTask.run_id).where(Run.state == RunState.ACTIVE)
    ready = ready.where(
        SubTask.state == SubTaskState.QUEUED, func.coalesce(SubTask.not_before, func.now()) <= func.now()
    )
    return ready.group_by(SubTask.queue).order_by(SubTask.queue)


def _live_workers() -> Executable:
    columns = select(Worker.worker_id, Worker.queue, Worker.host, Worker.slots, Worker.draining)
    return columns.where(Worker.died_at.is_(None), Worker.last_seen >= func.now() - _LIVE).order_by(Worker.worker_id)


def _unsent(connection: Connection) -> UnsentMessages | None:
    due = func.coalesce(Outbox.not_before, Outbox.created)
    query = select(func.count(), func.min(due)).where(Outbox.sent_at.is_(None), due < func.now() - _OVERDUE)
    rows, since = connection.execute(query).one()
    return UnsentMessages(rows, since) if rows else None


def _open_runs() -> Executable:
    counted = func.coalesce(func.sum(StageRow.queued + StageRow.started), 0)
    moving = select(counted).where(StageRow.run_id == Run.id).scalar_subquery()
    columns = select(Run.id, Run.analysis_id, Run.portfolio_id, Run.state, moving.label("moving"))
    columns = columns.add_columns(_heard_of().label("since"))
    joined = columns.outerjoin(Analysis, Analysis.id == Run.analysis_id)
    return joined.where(Run.ended_at.is_(None)).order_by(Run.id)


def _heard_of() -> ColumnElement[datetime]:
    """When a run was last heard of. A cancel ends its analysis, which may be run again from then on."""
    ended = select(func.max(SubTask.end_time)).where(SubTask.run_id == Run.id).scalar_subquery()
    later = Run.__table__.alias("later")
    followed = select(func.min(later.c.requested_at))
    followed = followed.where(later.c.analysis_id == Run.analysis_id, later.c.id > Run.id)
    stopped = func.coalesce(followed.scalar_subquery(), Analysis.task_finished)
    return func.greatest(Run.requested_at, ended, stopped)


def _first_line(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
