"""Objects of runs that are to go: noted in the transaction that gives them up, removed by the worker monitor."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection, func, insert
from sqlalchemy.orm import Session

from shared.core.plan import ANALYSIS_PHASES, PORTFOLIO_PHASES, log_prefix, storage_prefix
from shared.database.execution import Removal


def object_prefixes(analysis_id: int, run_uuid: str) -> tuple[str, ...]:
    """Where the attempts of a run of an analysis have left their results."""
    return tuple(storage_prefix(phase, analysis_id, run_uuid) for phase in ANALYSIS_PHASES)


def all_prefixes(analysis_id: int, run_uuid: str) -> tuple[str, ...]:
    """Where a run of an analysis has left anything but recorded files."""
    return (*object_prefixes(analysis_id, run_uuid), log_prefix(run_uuid))


def portfolio_prefixes(portfolio_id: int, run_uuid: str) -> tuple[str, ...]:
    """Where a run of a portfolio has left anything but recorded files."""
    prefixes = (storage_prefix(phase, portfolio_id, run_uuid) for phase in PORTFOLIO_PHASES)
    return (*prefixes, log_prefix(run_uuid))


def note_removals(connection: Connection | Session, prefixes: Iterable[str], after: timedelta = timedelta(0)) -> None:
    """Have the objects under the prefixes removed, no earlier than `after` from now."""
    rows = [{"prefix": prefix, "not_before": func.now() + after} for prefix in prefixes]
    if rows:
        connection.execute(insert(Removal).values(rows))
