"""What a recorded run of a portfolio shows: files, statuses, which files are valid, and the validation that follows."""

from collections.abc import Mapping

from sqlalchemy import select, update

from services.worker_monitor.results import EXPOSURE_FILES
from services.worker_monitor.stored_files import name_in_run, own, release
from shared.codec import from_plain
from shared.core.inputs import FileRef, RunInputs
from shared.core.states import ExposureEvent, RunKind
from shared.database.portfolio_runs import STATUSES, request_portfolio_run
from shared.database.resources import File, Portfolio
from shared.database.working_set import LockedRun, WorkingSet
from shared.messages.catalogue import Grant

SEEN_FOR = 1.0
"""Seconds for which a run of a portfolio is STARTED at least: clients wait for a status that they have seen STARTED.

Source: oasis_api.md section 6.3.
"""

_ERRORS = "run_errors_file_id"


def show(work: WorkingSet, grant: Grant, files: Mapping[str, tuple[int, int]]) -> None:
    """Give the files (id and size in bytes, by column) to the (locked) portfolio and move what belongs to the run.

    A run that clients do not look at any more changes nothing.
    """
    run = work.runs[grant.run_id]
    if not run.statuses:
        return
    kind = RunKind(run.row["kind"])
    _attach(work, grant, files)
    failed = _ERRORS in files
    # What failed before its validation leaves nothing to validate; what is well moves its own status alone.
    columns = STATUSES[kind] if failed else STATUSES[kind][:1]
    work.move_portfolio(grant.run_id, ExposureEvent.FAILED if failed else ExposureEvent.RECORDED, columns)
    if failed:
        return
    if kind == RunKind.VALIDATE:
        _mark_valid(work, run)
    elif kind == RunKind.EXPOSURE_TRANSFORM and "validation_status" in run.statuses:
        _validate(work, grant.owner_id, run)


def _attach(work: WorkingSet, grant: Grant, files: Mapping[str, tuple[int, int]]) -> None:
    """Own the files and name them; what they replace is released, and so is what an earlier run complained of."""
    connection = work.connection
    values: dict[str, int | None] = {_ERRORS: None} | {column: file_id for column, (file_id, _) in files.items()}
    of_portfolio = Portfolio.id == grant.portfolio_id
    replaced = connection.execute(select(*(getattr(Portfolio, column) for column in values)).where(of_portfolio)).one()
    connection.execute(update(Portfolio).where(of_portfolio).values(**values))
    release(connection, [file_id for file_id in replaced if file_id is not None])
    if files:
        own(connection, dict(files.values()))
        name_in_run(connection, grant.run_id, {name.removesuffix("_id"): each for name, (each, _) in files.items()})


def _mark_valid(work: WorkingSet, run: LockedRun) -> None:
    """The files that the run has read, which need not be those that the portfolio has by now."""
    inputs = from_plain(RunInputs, run.row["inputs"])
    keys = [inputs.files[name].key for name in EXPOSURE_FILES if name in inputs.files]
    work.connection.execute(update(File).where(File.key.in_(keys)).values(oed_validated=True))


def _validate(work: WorkingSet, portfolio_id: int, run: LockedRun) -> None:
    """Request the validation of what there is now. The working set writes its statuses first, and then no more."""
    work.flush_rows()
    run.statuses = {status: at for status, at in run.statuses.items() if status not in STATUSES[RunKind.VALIDATE]}
    inputs = portfolio_inputs(work, portfolio_id)
    user_id, trace_parent = run.row["requested_by_id"], run.row["trace_parent"]
    request_portfolio_run(work.connection, portfolio_id, RunKind.VALIDATE, inputs, user_id, trace_parent)


def portfolio_inputs(work: WorkingSet, portfolio_id: int) -> RunInputs:
    """What a validation of the portfolio reads."""
    columns = {name: getattr(Portfolio, f"{name}_id") for name in (*EXPOSURE_FILES, "currency_conversion_json")}
    query = select(Portfolio.reporting_currency, *columns.values()).where(Portfolio.id == portfolio_id)
    portfolio = work.connection.execute(query).one()
    ids = {name: getattr(portfolio, f"{name}_id") for name in columns}
    rows = work.connection.execute(
        select(File.id, File.key, File.filename).where(File.id.in_(set(ids.values()) - {None}))
    )
    found = {row.id: FileRef(row.key, row.filename) for row in rows}
    files = {name: found[file_id] for name, file_id in ids.items() if file_id in found}
    return RunInputs(files, reporting_currency=portfolio.reporting_currency or None)
