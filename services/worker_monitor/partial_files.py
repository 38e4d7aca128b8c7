"""What a failed run leaves for its users: files that its last sub-task had ready before it failed.

Source: oasis_api.md section 8.1. They become files of the run and, while that is the current one, of the analysis. The
log archive of an earlier run goes when losses have failed; its outputs stay until there are newer ones.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from services.worker_monitor.results import Result, partial_results
from services.worker_monitor.stored_files import NewFile, discard, name_in_run, own, release, reserve
from shared.codec import from_plain
from shared.core.inputs import FileRef
from shared.core.plan import Phase
from shared.core.states import RunState
from shared.database.execution import Attempt, Run, StageRow, SubTask
from shared.database.resources import Analysis
from shared.messages.catalogue import KeepPartialFiles
from shared.object_store import ObjectNotFound, ObjectStore

log = logging.getLogger(__name__)

FAILED_RUNS = (RunState.FAILING, RunState.FAILED)
_LOG_COLUMN = "run_log_file_id"


@dataclass(frozen=True)
class Failed:
    """The sub-task that has failed for good, and what its last attempt left."""

    run_id: int
    analysis_id: int
    requested_by: int | None
    phase: Phase
    results: list[Result]


def keep_partial_files(engine: Engine, store: ObjectStore, message: KeepPartialFiles) -> None:
    """Copy the files, then show them in one transaction. Told again, it does so again.

    Raises the errors of the store, but not for an object that is gone, and OperationalError.
    """
    with engine.begin() as connection:
        failed = _look_up(connection, message)
        if failed is None:
            return
        ids = _reserve(connection, failed)
    kept: set[int] = set()
    try:
        copied = ((each, _copy(store, each.source, each.key)) for each in failed.results)
        sizes = {each: size for each, size in copied if size is not None}
        with engine.begin() as connection:
            shown = _show(connection, failed, {each.kind.column: (ids[each.key], size) for each, size in sizes.items()})
        kept.update(shown)
    finally:
        # What history alone keeps is released, and looks like what nobody wants.
        discard(engine, store, sorted(set(ids.values()) - kept))


def _look_up(connection: Connection, message: KeepPartialFiles) -> Failed | None:
    of_stage = (StageRow.run_id == SubTask.run_id) & (StageRow.position == SubTask.stage)
    query = (
        select(Run.analysis_id, Run.requested_by_id, StageRow.phase, StageRow.step, Attempt.artifacts)
        .join(SubTask, SubTask.run_id == Run.id)
        .join(StageRow, of_stage)
        .outerjoin(Attempt, Attempt.attempt_id == SubTask.attempt_id)
        .where(Run.id == message.run_id, SubTask.id == message.sub_task_id, Run.state.in_(FAILED_RUNS))
        .where(Run.analysis_id.is_not(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    left = {name: from_plain(FileRef, reference) for name, reference in (row.artifacts or {}).items()}
    results = partial_results(row.step, row.analysis_id, left)
    return Failed(message.run_id, row.analysis_id, row.requested_by_id, Phase(row.phase), results)


def _reserve(connection: Connection, failed: Failed) -> dict[str, int]:
    files = [NewFile(each.key, each.filename, each.kind.content_type) for each in failed.results]
    return reserve(connection, files, failed.requested_by) if files else {}


def _copy(store: ObjectStore, source: str, target: str) -> int | None:
    try:
        return store.copy(source, target).size
    except ObjectNotFound:
        log.warning("A partial file is gone", extra={"key": source})
        return None


def _show(connection: Connection, failed: Failed, copies: Mapping[str, tuple[int, int]]) -> list[int]:
    """Give the copies (id and size in bytes, by column) to the run and its analysis; returns the ids.

    In the lock order: the analysis, then the run.
    """
    locked = select(Analysis.__table__).where(Analysis.id == failed.analysis_id).with_for_update(key_share=True)
    analysis = connection.execute(locked).one_or_none()
    run = select(Run.id).where(Run.id == failed.run_id).with_for_update(key_share=True)
    if analysis is None or connection.execute(run).first() is None:
        return []  # deleted meanwhile
    columns = {column: file_id for column, (file_id, _) in copies.items()}
    if columns:
        own(connection, dict(copies.values()))
        name_in_run(connection, failed.run_id, {column.removesuffix("_id"): each for column, each in columns.items()})
    if analysis.current_run_id == failed.run_id:
        _attach(connection, analysis, _shown(failed, columns))
    else:
        release(connection, sorted(columns.values()))
    log.info("Kept what a failed run left", extra={"run": failed.run_id, "files": sorted(columns)})
    return list(columns.values())


def _shown(failed: Failed, columns: Mapping[str, int]) -> dict[str, int | None]:
    cleared = {_LOG_COLUMN: None} if failed.phase == Phase.LOSSES else {}
    return {**cleared, **columns}


def _attach(connection: Connection, analysis: Any, values: Mapping[str, int | None]) -> None:
    if not values:
        return
    replaced = [getattr(analysis, column) for column in values]
    connection.execute(update(Analysis).where(Analysis.id == analysis.id).values(**values))
    gone = {file_id for file_id in replaced if file_id is not None} - set(values.values())
    release(connection, sorted(gone))
