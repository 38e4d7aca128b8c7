"""Why a run of a portfolio has failed for good, as its errors file: a worker was lost, or had a fault.

What is wrong with the exposure itself is no failure: the run completes and records that.
"""

from dataclasses import dataclass
from io import BytesIO

from sqlalchemy import Connection, Engine, select, update

from services.worker_monitor.results import permanent_key
from services.worker_monitor.stored_files import NewFile, discard, own, release, reserve
from shared.core.states import RunState
from shared.database.execution import Attempt, Run, SubTask
from shared.database.portfolio_runs import LOCK_RUNS, statuses_of
from shared.database.resources import Portfolio
from shared.messages.catalogue import KeepPartialFiles
from shared.object_store import ObjectStore

FAILED_RUNS = (RunState.FAILING, RunState.FAILED)


@dataclass(frozen=True)
class Reason:
    """What the last attempt said, and whose portfolio it was about."""

    portfolio_id: int
    requested_by: int | None
    text: bytes


def keep_reason(engine: Engine, store: ObjectStore, message: KeepPartialFiles) -> None:
    """Store the reason, then show it. Runs of analyses are left alone. Raises the store's errors, OperationalError."""
    with engine.begin() as connection:
        reason = _look_up(connection, message)
        if reason is None:
            return
        filename = f"portfolio_{reason.portfolio_id}_errors.txt"
        key = permanent_key(filename)
        file_id = reserve(connection, [NewFile(key, filename, "text/csv")], reason.requested_by)[key]
    try:
        size = store.put(key, BytesIO(reason.text), content_type="text/csv").size
        with engine.begin() as connection:
            _show(connection, message.run_id, file_id, size)
    finally:
        discard(engine, store, [file_id])


def _look_up(connection: Connection, message: KeepPartialFiles) -> Reason | None:
    query = (
        select(Run.portfolio_id, Run.requested_by_id, SubTask.slug, Attempt.cause, Attempt.message)
        .join(SubTask, SubTask.run_id == Run.id)
        .outerjoin(Attempt, Attempt.attempt_id == SubTask.attempt_id)
        .where(Run.id == message.run_id, SubTask.id == message.sub_task_id, Run.state.in_(FAILED_RUNS))
        .where(Run.portfolio_id.is_not(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    text = f"{row.slug} has failed ({row.cause}), and not because of the exposure:\n{row.message or ''}\n"
    return Reason(row.portfolio_id, row.requested_by_id, text.encode("utf-8", "replace"))


def _show(connection: Connection, run_id: int, file_id: int, size: int) -> None:
    row = connection.execute(LOCK_RUNS, {"ids": [run_id]}).one_or_none()
    if row is None or not statuses_of(row._asdict()):
        return  # deleted, or requested anew, meanwhile
    of_portfolio = Portfolio.id == row.portfolio_id
    replaced = connection.execute(select(Portfolio.run_errors_file_id).where(of_portfolio)).scalar()
    own(connection, {file_id: size})
    connection.execute(update(Portfolio).where(of_portfolio).values(run_errors_file_id=file_id))
    release(connection, [] if replaced is None else [replaced])
