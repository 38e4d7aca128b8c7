"""Rows and objects of files, so that neither is ever left without the other, whoever dies at whatever line.

A file is *reserved* first: a row that is released from its birth. Then its object is put, and the transaction that
makes it visible *owns* the row. What is reserved and never owned is what the sweeper removes anyway; and whether a
commit whose answer was lost has happened, the row itself tells.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import OperationalError

from services.worker_monitor.errors import FilesGone
from shared.database.execution import RunFile
from shared.database.resources import File
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewFile:
    """A file that is going to be stored."""

    key: str
    filename: str
    content_type: str


def reserve(connection: Connection, files: Sequence[NewFile], creator_id: int | None) -> dict[str, int]:
    """Write released rows for files that are about to be stored. Returns their ids by key."""
    rows = [
        {
            "key": file.key,
            "filename": file.filename,
            "content_type": file.content_type,
            "size": 0,
            "creator_id": creator_id,
            "released_at": func.now(),
        }
        for file in files
    ]
    if not rows:
        return {}
    statement = insert(File).values(rows).returning(File.id, File.key)
    return {row.key: row.id for row in connection.execute(statement)}


def own(connection: Connection, sizes: Mapping[int, int]) -> None:
    """Make reserved files owned; `sizes` in bytes, by id. Raises FilesGone when one has been swept."""
    ids = sorted(sizes)
    held = connection.scalars(select(File.id).where(File.id.in_(ids)).order_by(File.id).with_for_update()).all()
    if list(held) != ids:
        raise FilesGone
    statement = update(File).where(File.id == bindparam("b_id")).values(size=bindparam("b_size"), released_at=None)
    connection.execute(statement, [{"b_id": file_id, "b_size": sizes[file_id]} for file_id in ids])


def release(connection: Connection, file_ids: Sequence[int]) -> None:
    """Take the owner from these files."""
    if file_ids:
        of_owned = File.id.in_(file_ids) & File.released_at.is_(None)
        connection.execute(update(File).where(of_owned).values(released_at=func.now()))


def name_in_run(connection: Connection, run_id: int, files: Mapping[str, int]) -> None:
    """Have the run keep these (owned) files, ids by name; a later one of the same name replaces the earlier."""
    rows = [{"run_id": run_id, "name": name, "file_id": file_id} for name, file_id in files.items()]
    statement = upsert(RunFile).values(rows)
    replaced = {"file_id": statement.excluded.file_id}
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id", "name"], set_=replaced))


def discard(engine: Engine, store: ObjectStore, file_ids: Sequence[int]) -> None:
    """Remove those of the reserved files that nobody owns; what cannot be removed now is left to the sweeper."""
    if not file_ids:
        return
    unowned = select(File.id, File.key).where(File.id.in_(file_ids), File.released_at.is_not(None))
    try:
        with engine.begin() as connection:
            keys = {file.id: file.key for file in connection.execute(unowned.with_for_update())}
            remove(connection, store, keys)
    except (OperationalError, ObjectStoreError) as error:
        log.warning("Cannot remove files now", extra={"files": list(file_ids), "reason": str(error)})


def remove(connection: Connection, store: ObjectStore, keys: Mapping[int, str]) -> int:
    """Delete the objects of (locked) rows, by id, then the rows; what the store refuses to delete keeps its row.

    Returns how many went. Raises ObjectStoreUnavailable.
    """
    gone = [file_id for file_id, key in keys.items() if _delete_object(store, key)]
    if gone:
        connection.execute(delete(File).where(File.id.in_(gone)))
    return len(gone)


def _delete_object(store: ObjectStore, key: str) -> bool:
    try:
        store.delete(key)
    except ObjectStoreError as error:
        if error.retryable:
            raise
        log.warning("Cannot delete an object", extra={"key": key, "reason": str(error)})
        return False
    return True
