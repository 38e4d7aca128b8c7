"""Runs of a portfolio: which status belongs to which run, their locks, and what requests them.

A status of a portfolio belongs to the run that its column `…_run_id` names, as an analysis has its current run.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import ARRAY, BigInteger, Connection, any_, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from shared import names
from shared.codec import to_plain
from shared.core.inputs import RunInputs
from shared.core.states import EXPOSURE, RUN, ExposureEvent, ExposureStatus, RunEvent, RunKind, RunState, allows, move
from shared.database.execution import Run
from shared.database.outbox import Posting, post
from shared.database.resources import Portfolio
from shared.messages.catalogue import CancelRun, StartRun

PRIORITY = 10
"""Of what the internal worker executes. Source: oasis_api.md section 3."""

RUN_COLUMNS = {
    "validation_status": "validation_run_id",
    "exposure_status": "exposure_run_id",
    "exposure_transform_status": "exposure_transform_run_id",
}
"""By status, the column that names the run which it belongs to."""

STATUSES: Mapping[RunKind, tuple[str, ...]] = {
    RunKind.VALIDATE: ("validation_status",),
    RunKind.EXPOSURE_RUN: ("exposure_status",),
    RunKind.EXPOSURE_TRANSFORM: ("exposure_transform_status", "validation_status"),
}
"""What a run of the kind takes over. The validation follows a transformation, and fails with it."""

LOCK_RUNS = (
    select(
        Run.__table__,
        *(getattr(Portfolio, column) for pair in RUN_COLUMNS.items() for column in pair),
        func.now().label("now"),
    )
    .join(Portfolio, Portfolio.id == Run.portfolio_id)
    .where(Run.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
    .order_by(Portfolio.id, Run.id)
    .with_for_update(key_share=True, of=[Portfolio, Run])
)


def statuses_of(row: Mapping[str, Any]) -> dict[str, ExposureStatus]:
    """The statuses that belong to the run of this row of LOCK_RUNS, by column."""
    return {status: ExposureStatus(row[status]) for status, run in RUN_COLUMNS.items() if row[run] == row["id"]}


def request_portfolio_run(
    session: Session | Connection,
    portfolio_id: int,
    kind: RunKind,
    inputs: RunInputs,
    user_id: int | None,
    trace_parent: str | None = None,
) -> int:
    """Write a run of the (locked) portfolio and start its statuses; an earlier one of the kind is cancelled. Its id."""
    before = session.execute(_statuses(portfolio_id)).one()._asdict()
    _cancel(session, {before[RUN_COLUMNS[status]] for status in STATUSES[kind]} - {None}, STATUSES[kind])
    values = {
        "run_uuid": uuid4().hex,
        "portfolio_id": portfolio_id,
        "kind": kind,
        "run_mode": names.SERVER_MODE,
        "state": RunState.REQUESTED,
        "priority": PRIORITY,
        "model_queue": names.INTERNAL_QUEUE,
        "requested_by_id": user_id,
        "inputs": to_plain(inputs),
        "trace_parent": trace_parent,
    }
    run_id: int = session.execute(insert(Run).values(values).returning(Run.id)).scalar_one()
    changed: dict[str, Any] = {"modified": func.now()}
    for status in STATUSES[kind]:
        after = move(EXPOSURE, ExposureStatus(before[status]), ExposureEvent.REQUESTED)
        changed |= {status: after, RUN_COLUMNS[status]: run_id}
    session.execute(update(Portfolio).where(Portfolio.id == portfolio_id).values(**changed))
    post(session, [Posting(StartRun(run_id), names.TASK_CONTROLLER_QUEUE)])
    return run_id


def _statuses(portfolio_id: int) -> Any:
    columns = (getattr(Portfolio, column) for pair in RUN_COLUMNS.items() for column in pair)
    return select(*columns).where(Portfolio.id == portfolio_id)


def _cancel(session: Session | Connection, run_ids: set[int], taken: tuple[str, ...]) -> None:
    """Nobody waits any more for what they would find; a transformation that has lost only its validation goes on."""
    query = select(Run.id, Run.kind, Run.state).where(Run.id.in_(sorted(run_ids))).order_by(Run.id)
    for run in session.execute(query.with_for_update(key_share=True)).all():
        is_over = STATUSES[RunKind(run.kind)][0] in taken
        if is_over and allows(RUN, RunState(run.state), RunEvent.CANCEL_REQUESTED):
            state = move(RUN, RunState(run.state), RunEvent.CANCEL_REQUESTED)
            session.execute(update(Run).where(Run.id == run.id).values(state=state))
            post(session, [Posting(CancelRun(run.id), names.TASK_CONTROLLER_QUEUE)])
