"""Removes files that have had no owner for a while, that no run reads or may read again, and that no run recorded."""

import logging
from datetime import timedelta
from threading import Event

from sqlalchemy import Connection, Engine, cast, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.exc import OperationalError

from services.worker_monitor.stored_files import remove
from shared.core.states import RESUMABLE_RUNS
from shared.database.execution import Run, RunFile, StageRow
from shared.database.resources import File
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)

_BATCH = 100


class Sweeper:
    """Looks every `every` seconds; a released file is kept for `keep` seconds more, for readers that have begun.

    What a failed or cancelled run was requested with is kept until the sweeper of runs has given up its objects.
    """

    def __init__(self, engine: Engine, store: ObjectStore, every: float = 60.0, keep: float = 86_400.0) -> None:
        self._engine = engine
        self._store = store
        self._every = every
        self._keep = timedelta(seconds=keep)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        while not stopping.wait(self._every):
            try:
                self.sweep(stopping)
            except (OperationalError, ObjectStoreError) as error:
                log.warning("Cannot sweep now", extra={"reason": str(error)})

    def sweep(self, stopping: Event) -> int:
        """Remove everything that is due, in batches. Returns how many files went."""
        removed, after = 0, 0
        while not stopping.is_set():
            with self._engine.begin() as connection:
                last, count = self._sweep_batch(connection, after)
            removed += count
            if last is None:
                break
            after = last
        if removed:
            log.info("Swept released files", extra={"files": removed})
        return removed

    def _sweep_batch(self, connection: Connection, after: int) -> tuple[int | None, int]:
        """Returns the last id that was looked at, None when there was none, and how many files went.

        The rows stay locked until their objects are gone: nobody can own a file that is being removed.
        """
        is_recorded = select(RunFile.run_id).where(RunFile.file_id == File.id).exists()
        due = (File.released_at < func.now() - self._keep) & (File.id > after)
        query = select(File.id, File.key).where(due, ~is_recorded).order_by(File.id).limit(_BATCH)
        files = connection.execute(query.with_for_update(skip_locked=True)).all()
        if not files:
            return None, 0
        in_use = keys_in_use(connection)
        count = remove(connection, self._store, {file.id: file.key for file in files if file.key not in in_use})
        return files[-1].id, count


def keys_in_use(connection: Connection) -> set[str]:
    """Keys that runs read, or would read when resumed: what they were requested with, what their stages have left."""
    resumable = Run.state.in_(sorted(RESUMABLE_RUNS)) & Run.objects_swept_at.is_(None)
    reads = or_(Run.ended_at.is_(None), resumable)
    path = cast("strict $.**.key", JSONPATH)
    requested = select(func.jsonb_path_query(Run.inputs, path, type_=JSONB)).where(reads)
    left = select(func.jsonb_path_query(StageRow.artifacts, path, type_=JSONB)).join(Run, Run.id == StageRow.run_id)
    keys = connection.scalars(requested.union_all(left.where(reads)))
    return {key for key in keys if isinstance(key, str)}
