"""Reads runs whose trace is due, with what their spans are made of."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select
from sqlalchemy.orm import aliased

from services.task_controller.tracing.spans import Origin, TracedAttempt, TracedRun, TracedStage
from shared.database.execution import Attempt, Run, StageRow, SubTask, Worker

GIVEN_UP_AFTER = timedelta(days=1)
"""A trace that nobody has taken for so long is not sent any more."""

_MOST = 20


def due(connection: Connection, last: Collection[int] = ()) -> list[int]:
    """Ended runs whose trace has not been sent: those of `last` last, else those that ended first."""
    is_due = (Run.trace_parent.is_not(None), Run.traced_at.is_(None), Run.ended_at > func.now() - GIVEN_UP_AFTER)
    order = (Run.id.in_(sorted(last)), Run.ended_at, Run.id)
    return list(connection.scalars(select(Run.id).where(*is_due).order_by(*order).limit(_MOST)))


def read_run(connection: Connection, run_id: int) -> TracedRun | None:
    """All that its spans are made of; None where it has been sent meanwhile, or deleted."""
    earlier = aliased(Run)
    origin = (earlier.run_uuid.label("earlier_uuid"), earlier.trace_parent.label("earlier_parent"))
    query = select(Run.__table__, *origin).outerjoin(earlier, earlier.id == Run.resumed_from_id)
    row = connection.execute(query.where(Run.id == run_id, Run.traced_at.is_(None))).one_or_none()
    if row is None:
        return None
    planned = select(func.min(SubTask.pending_time)).where(SubTask.run_id == run_id)
    return TracedRun(
        origin=Origin(row.run_uuid, row.trace_parent),
        facts={
            "id": row.id,
            "kind": row.kind,
            "mode": row.run_mode,
            "priority": row.priority,
            "queue": row.model_queue,
            "analysis": row.analysis_id,
            "portfolio": row.portfolio_id,
        },
        state=row.state,
        error=row.error,
        requested_at=row.requested_at,
        planned_at=connection.scalar(planned),
        ended_at=row.ended_at,
        resumed_from=Origin(row.earlier_uuid, row.earlier_parent) if row.earlier_parent else None,
        stages=tuple(_stages(connection, run_id, row.ended_at)),
    )


def _stages(connection: Connection, run_id: int, run_ended_at: datetime) -> Iterator[TracedStage]:
    """Without those that waited until the run was over, and those that an earlier run has executed."""
    attempts: dict[int, list[TracedAttempt]] = {}
    for stage, attempt in _attempts(connection, run_id):
        attempts.setdefault(stage, []).append(attempt)
    reached = or_(SubTask.queue_time.is_not(None), SubTask.start_time.is_not(None))
    ends = select(SubTask.stage, func.max(SubTask.end_time).label("ended_at")).where(
        SubTask.run_id == run_id, SubTask.copied_from_id.is_(None), reached
    )
    found = ends.group_by(SubTask.stage).subquery()
    query = select(StageRow.__table__, found.c.ended_at).join(found, found.c.stage == StageRow.position)
    for row in connection.execute(query.where(StageRow.run_id == run_id).order_by(StageRow.position)):
        facts = {name: getattr(row, name) for name in ("position", "step", "phase", "queue", "size")}
        own = tuple(attempts.get(row.position, ()))
        ended_at = row.ended_at or run_ended_at
        yield TracedStage(**facts, failed=row.error, ended_at=ended_at, attempts=own)


def _attempts(connection: Connection, run_id: int) -> Iterator[tuple[int, TracedAttempt]]:
    query = (
        select(Attempt.__table__, SubTask.stage, SubTask.slug, Worker.host)
        .join(SubTask, SubTask.id == Attempt.sub_task_id)
        .outerjoin(Worker, Worker.worker_id == Attempt.worker_id)
        .where(Attempt.run_id == run_id)
        .order_by(SubTask.id, Attempt.fence)
    )
    return ((row.stage, _attempt(row)) for row in connection.execute(query))


def _attempt(row: Row[Any]) -> TracedAttempt:
    same = ("attempt_id", "slug", "fence", "worker_id", "host", "cause", "message", "granted_at", "ended_at")
    ending = ("step_ended_at", "exit_status", "signal", "peak_memory")
    facts = {name: getattr(row, name) for name in (*same, *ending)}
    return TracedAttempt(**facts, fetched_at=row.started_at, reported_at=row.finished_at)
