"""Executing record-* sub-tasks: copy the results, then make everything visible in one transaction, or nothing.

The order is: reserve rows, copy the objects, write the log, and then, under the lock of the run, settle the attempt,
own the files and name them in the analysis. Only that last transaction is visible to anyone.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import random
from typing import TypeVar

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import OperationalError

from services.worker_monitor.attempt_log import AttemptLog
from services.worker_monitor.errors import GivenUp
from services.worker_monitor.holdings import Hold
from services.worker_monitor.portfolio_results import SEEN_FOR, show
from services.worker_monitor.results import Result, results_of
from services.worker_monitor.stored_files import NewFile, discard, name_in_run, own, release, reserve
from shared.broker.delays import backoff
from shared.core.retries import Cause, RetryPolicy
from shared.core.states import AttemptState
from shared.database.execution import Run
from shared.database.resources import Analysis, File
from shared.database.settlement import places_of, settle
from shared.database.transactions import in_working_set
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import AttemptFinished, Grant
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

_LONGEST_WAIT = 5.0


@dataclass(frozen=True)
class Copy:
    """A result and its permanent copy: id of its row, size in bytes."""

    result: Result
    file_id: int
    size: int


class Recorder:
    """Executes attempts and settles them itself."""

    def __init__(self, engine: Engine, store: ObjectStore, policy: RetryPolicy, worker_id: str) -> None:
        self._engine = engine
        self._store = store
        self._policy = policy
        self._worker_id = worker_id

    def execute(self, hold: Hold) -> None:
        """Execute the attempt and settle it. Returns when nothing is left to do, whatever came of it."""
        grant = hold.grant
        report = AttemptFinished(grant.attempt_id, self._worker_id, started_at=datetime.now(UTC))
        attempt_log = AttemptLog(self._store, grant.log_key)
        try:
            self._record(hold, report, attempt_log)
        except GivenUp as error:
            if error.cause is not None:
                self._settle_failure(hold, report, error.cause, str(error), attempt_log)
        except ObjectStoreError as error:
            self._settle_failure(hold, report, Cause.STORAGE, str(error), attempt_log)
        except Exception as error:
            log.exception("A recording has failed", extra=_facts(grant))
            self._settle_failure(hold, report, Cause.MODEL_ERROR, str(error), attempt_log)

    def _record(self, hold: Hold, report: AttemptFinished, attempt_log: AttemptLog) -> None:
        grant = hold.grant
        results = results_of(grant)
        hold.check()
        ids, requested_at = _patiently(hold, lambda: self._reserve(grant, results))
        try:
            copies = [self._copy(hold, result, ids[result.key], attempt_log) for result in results]
            hold.wait(_time_left(grant, requested_at))
            report = replace(report, finished_at=datetime.now(UTC), log_key=attempt_log.write())
            refusal = _patiently(hold, lambda: self._commit(grant, report, copies))
            log.info("Recorded an attempt", extra={**_facts(grant), "files": len(copies), "refusal": refusal})
        finally:
            discard(self._engine, self._store, list(ids.values()))

    def _reserve(self, grant: Grant, results: list[Result]) -> tuple[dict[str, int], datetime]:
        """The ids of the files, by key, and when the run was requested."""
        files = [NewFile(result.key, result.filename, result.kind.content_type) for result in results]
        with self._engine.begin() as connection:
            query = select(Run.requested_by_id, Run.requested_at).where(Run.id == grant.run_id)
            run = connection.execute(query).one_or_none()
            if run is None:
                raise GivenUp(None)  # deleted with its owner
            return reserve(connection, files, run.requested_by_id), run.requested_at

    def _copy(self, hold: Hold, result: Result, file_id: int, attempt_log: AttemptLog) -> Copy:
        hold.check()
        info = self._store.copy(result.source, result.key)
        attempt_log.add(f"{result.kind.artifact}: {result.source} -> {result.filename} ({info.size} bytes)")
        return Copy(result, file_id, info.size)

    def _commit(self, grant: Grant, report: AttemptFinished, copies: list[Copy]) -> str | None:
        """Returns why the attempt was refused, or None."""
        return in_working_set(self._engine, self._policy, lambda work: accept(work, grant, report, copies))

    def _settle_failure(
        self, hold: Hold, report: AttemptFinished, cause: Cause, message: str, attempt_log: AttemptLog
    ) -> None:
        """Report the failure. Where that fails too, the attempt is no longer listed and ends as lost."""
        attempt_log.add(f"failed: {message}")
        finished = datetime.now(UTC)
        failed = replace(report, cause=cause, message=message, finished_at=finished, log_key=attempt_log.write())
        log.warning("An attempt has ended", extra={**_facts(hold.grant), "cause": cause, "reason": message})
        try:
            _patiently(hold, lambda: self._commit(hold.grant, failed, []))
        except (GivenUp, OperationalError) as error:
            log.warning("An attempt is left to the reaper", extra={**_facts(hold.grant), "reason": str(error)})
        except Exception:
            log.exception("A failure cannot be reported", extra=_facts(hold.grant))


def accept(work: WorkingSet, grant: Grant, report: AttemptFinished, copies: list[Copy]) -> str | None:
    """Settle the attempt and, if that completes it, give its files to the analysis, in this transaction.

    Returns why the attempt was refused, or None. What is not owned afterwards is the caller's to discard.
    """
    place = places_of(work.connection, [report.attempt_id]).get(report.attempt_id)
    if place is not None:
        work.lock([place.run_id])
    if place is None or place.run_id not in work.runs:
        return "this attempt is not known"
    kept = [copy for copy in copies if work.runs[place.run_id].is_current and _is_wanted(work, grant, copy.result)]
    references = {copy.result.kind.artifact: copy.result.reference for copy in kept}
    work.load([place.sub_task_id], [report.attempt_id])
    before = work.attempts[report.attempt_id].state
    verdicts = settle(work, [replace(report, artifacts=references)], {report.attempt_id: place}, random)
    after = work.attempts[report.attempt_id].state
    if after == AttemptState.COMPLETED != before:
        if grant.analysis_id is None:
            show(work, grant, {copy.result.kind.column: (copy.file_id, copy.size) for copy in kept})
        elif kept:
            _attach(work, grant, {copy.result.kind.column: copy for copy in kept})
    work.flush()
    return verdicts[report.attempt_id]


def _is_wanted(work: WorkingSet, grant: Grant, result: Result) -> bool:
    """Settings that a user has uploaded since the run was requested are not replaced by those of the run."""
    if result.kind.column != "settings_file_id":
        return True
    of_analysis = select(File.key).join(Analysis, Analysis.settings_file_id == File.id)
    key = work.connection.execute(of_analysis.where(Analysis.id == grant.analysis_id)).scalar()
    requested = grant.files.get("settings_file")
    return key == (requested.key if requested else None)


def _attach(work: WorkingSet, grant: Grant, copies: Mapping[str, Copy]) -> None:
    """Own the files, name them in the (locked) analysis and in its run, release those that they replace."""
    connection, analysis_id = work.connection, grant.analysis_id
    columns = [getattr(Analysis, column) for column in copies]
    replaced = connection.execute(select(*columns).where(Analysis.id == analysis_id)).one()
    own(connection, {copy.file_id: copy.size for copy in copies.values()})
    values = {column: copy.file_id for column, copy in copies.items()}
    connection.execute(update(Analysis).where(Analysis.id == analysis_id).values(**values))
    name_in_run(connection, grant.run_id, {column.removesuffix("_id"): file_id for column, file_id in values.items()})
    release(connection, [file_id for file_id in replaced if file_id is not None])


def _time_left(grant: Grant, requested_at: datetime) -> float:
    """Seconds until clients have had the time to see that a run of a portfolio is under way."""
    if grant.analysis_id is not None:
        return 0.0
    return max(0.0, SEEN_FOR - (datetime.now(UTC) - requested_at).total_seconds())


def _patiently(hold: Hold, action: Callable[[], T]) -> T:
    """Repeat what the database could not do, for as long as the attempt is wanted: the copies are already there.

    An attempt that was given up gets one try. Raises GivenUp, or OperationalError where it was given up before.
    """
    delays = backoff(cap=_LONGEST_WAIT)
    while True:
        try:
            return action()
        except OperationalError as error:
            log.warning("The database does not answer; trying again", extra={"reason": str(error.orig)})
            hold.wait(next(delays))


def _facts(grant: Grant) -> dict[str, object]:
    return {
        "analysis": grant.analysis_id,
        "portfolio": grant.portfolio_id,
        "run": grant.run_uuid,
        "sub_task": grant.slug,
        "attempt": str(grant.attempt_id),
    }
