"""Removes runs that are no longer kept, and the objects that nobody can read any more.

Rows go first, together with a note of the objects that they gave up; the objects follow, and then the note. Whoever
dies in between, what is noted is done by the next.
"""

import logging
from datetime import timedelta
from threading import Event
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, delete, func, or_, select, update
from sqlalchemy.exc import OperationalError

from services.worker_monitor.past_runs import Named, past_runs
from services.worker_monitor.portfolio_retention import portfolios_due, sweep_portfolio
from services.worker_monitor.retention import Retention, judge
from shared.core.states import RESUMABLE_RUNS
from shared.database.execution import Removal, Run
from shared.database.removals import all_prefixes, note_removals, object_prefixes
from shared.database.resources import Analysis
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)


class RunSweeper:
    """Looks every `every` seconds."""

    def __init__(self, engine: Engine, store: ObjectStore, retention: Retention, every: float = 60.0) -> None:
        self._engine = engine
        self._store = store
        self._retention = retention
        self._every = every

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        while not stopping.wait(self._every):
            try:
                self.sweep(stopping)
            except (OperationalError, ObjectStoreError) as error:
                log.warning("Cannot sweep runs now", extra={"reason": str(error)})

    def sweep(self, stopping: Event) -> None:
        """Give up what is due, analysis by analysis, then remove the objects of all that has been given up."""
        with self._engine.connect() as connection:
            due = connection.scalars(_due(self._retention)).all()
            portfolios = connection.scalars(portfolios_due(self._retention)).all()
        for analysis_id in due:
            if stopping.is_set():
                return
            with self._engine.begin() as connection:
                sweep_analysis(connection, analysis_id, self._retention)
        for portfolio_id in portfolios:
            if stopping.is_set():
                return
            with self._engine.begin() as connection:
                sweep_portfolio(connection, portfolio_id, self._retention)
        while not stopping.is_set() and self._remove_objects():
            pass

    def _remove_objects(self) -> bool:
        """One prefix. Returns whether there was one; what the store refuses to delete waits for the next round."""
        with self._engine.begin() as connection:
            due = select(Removal.id, Removal.prefix).where(Removal.not_before <= func.now())
            query = due.order_by(Removal.not_before).limit(1)
            row = connection.execute(query.with_for_update(skip_locked=True)).first()
            if row is None:
                return False
            try:
                count = self._store.delete_prefix(row.prefix)
            except ObjectStoreError as error:
                if error.retryable:
                    raise
                log.warning("Cannot delete objects", extra={"prefix": row.prefix, "reason": str(error)})
                later = func.now() + timedelta(seconds=10 * self._every)
                connection.execute(update(Removal).where(Removal.id == row.id).values(not_before=later))
                return True
            connection.execute(delete(Removal).where(Removal.id == row.id))
        log.info("Removed objects of runs", extra={"prefix": row.prefix, "objects": count})
        return True


def sweep_analysis(connection: Connection, analysis_id: int, retention: Retention) -> None:
    """Give up what the retention says, in this transaction. An analysis that is being changed is left for later.

    The lock keeps resuming away: it would refer to runs that go.
    """
    named = select(Analysis.id, Analysis.current_run_id, Analysis.inputs_traceback_run_id)
    locked = named.add_columns(Analysis.losses_traceback_run_id).where(Analysis.id == analysis_id)
    row = connection.execute(locked.with_for_update(skip_locked=True, key_share=True)).one_or_none()
    if row is None:
        return
    shown = frozenset({row.inputs_traceback_run_id, row.losses_traceback_run_id})
    runs = past_runs(connection, analysis_id, Named(row.current_run_id, shown))
    now = connection.execute(select(func.now())).scalar_one()
    verdict = judge([run.past for run in runs], retention, now)
    for run in runs:
        if run.past.run_id in verdict.removed:
            note_removals(connection, all_prefixes(analysis_id, run.run_uuid))
        elif run.past.run_id in verdict.swept:
            note_removals(connection, object_prefixes(analysis_id, run.run_uuid))
    if verdict.swept:
        connection.execute(update(Run).where(Run.id.in_(verdict.swept)).values(objects_swept_at=now))
    if verdict.removed:
        connection.execute(delete(Run).where(Run.id.in_(verdict.removed)))
        log.info("Removed runs", extra={"analysis": analysis_id, "runs": sorted(verdict.removed)})


def _due(retention: Retention) -> Select[Any]:
    """Analyses that something may follow for."""
    past = func.now() - retention.resumable_for
    stopped = and_(Run.state.in_(sorted(RESUMABLE_RUNS)), Run.objects_swept_at.is_(None), Run.ended_at <= past)
    conditions: list[ColumnElement[bool]] = [func.bool_or(stopped)]
    if retention.runs:
        conditions.append(func.count() > retention.runs)
    if retention.days:
        is_earlier = Run.id.is_distinct_from(Analysis.current_run_id)
        conditions.append(func.bool_or(and_(is_earlier, Run.ended_at <= func.now() - timedelta(days=retention.days))))
    query = select(Run.analysis_id).join(Analysis, Analysis.id == Run.analysis_id).group_by(Run.analysis_id)
    return query.having(or_(*conditions)).order_by(Run.analysis_id)
