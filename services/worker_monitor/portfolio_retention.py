"""Removes runs of portfolios that are no longer kept. None can be resumed, and their cleanup may have failed."""

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, or_, select

from services.worker_monitor.retention import Retention
from shared.database.execution import Run
from shared.database.portfolio_runs import RUN_COLUMNS
from shared.database.removals import note_removals, portfolio_prefixes
from shared.database.resources import Portfolio

log = logging.getLogger(__name__)


def portfolios_due(retention: Retention) -> Select[Any]:
    """Portfolios that something may follow for."""
    query = select(Run.portfolio_id).join(Portfolio, Portfolio.id == Run.portfolio_id)
    return query.where(_is_over(retention)).distinct().order_by(Run.portfolio_id)


def sweep_portfolio(connection: Connection, portfolio_id: int, retention: Retention) -> None:
    """Remove what is over, in this transaction. A portfolio that is being changed is left for later."""
    locked = select(Portfolio.id).where(Portfolio.id == portfolio_id)
    if connection.execute(locked.with_for_update(skip_locked=True, key_share=True)).first() is None:
        return
    query = select(Run.id, Run.run_uuid).join(Portfolio, Portfolio.id == Run.portfolio_id)
    over = connection.execute(query.where(Run.portfolio_id == portfolio_id, _is_over(retention))).all()
    for run in over:
        note_removals(connection, portfolio_prefixes(portfolio_id, run.run_uuid))
    connection.execute(delete(Run).where(Run.id.in_([run.id for run in over])))
    log.info("Removed runs", extra={"portfolio": portfolio_id, "runs": sorted(run.id for run in over)})


def _is_over(retention: Retention) -> Any:
    """Ended, not what a status belongs to, and too old or one too many of its portfolio."""
    current = [Run.id == getattr(Portfolio, column) for column in RUN_COLUMNS.values()]
    # A comparison with a column that is null says neither yes nor no.
    ended = and_(Run.ended_at.is_not(None), func.coalesce(or_(*current), False).is_(False))
    bounds = []
    if retention.days:
        bounds.append(Run.ended_at <= func.now() - timedelta(days=retention.days))
    if retention.runs:
        newer = Run.__table__.alias("newer")
        count = select(func.count()).where(newer.c.portfolio_id == Run.portfolio_id, newer.c.id > Run.id)
        bounds.append(count.scalar_subquery() >= retention.runs)
    return and_(ended, or_(False, *bounds))
