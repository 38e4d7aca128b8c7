"""What `lossline backup` and `lossline restore` do: database and object store of a platform in one tar archive.

The order in the archive: what it is (`backup.json`), the objects, the tables. The tables are of one moment, before the
first object was read, so that the objects that they name are there; they are read last, so that no row counts before
its objects do.
"""

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import psycopg
from sqlalchemy import URL

from services.embedded import archive_tables as tables
from services.embedded.errors import EmbeddedError
from services.embedded.reach import Reach, database_place
from shared.database.migrations import downgrade, revisions, upgrade
from shared.database.sessions import session_arguments
from shared.object_store import ObjectNotFound, ObjectStore, ObjectStoreError, open_object_store

MANIFEST, OBJECTS, DATABASE = "backup.json", "objects/", "database/"
_FORMAT = 1

Said = Callable[[str], None]


class BackupFailed(EmbeddedError):
    """The platform could not be backed up, or restored."""


def backup(reach: Reach, target: BinaryIO, said: Said) -> None:
    """Write an archive. What is deleted meanwhile is left out. Raises BackupFailed."""
    with _as_failure(reach), tempfile.TemporaryDirectory() as folder:
        manifest = _write_tables(reach.database, Path(folder))
        with tarfile.open(fileobj=target, mode="w|") as archive, open_object_store(reach.store) as store:
            _add(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
            objects = sum(_add_object(archive, store, info.key, info.size) for info in store.list(""))
            for table in manifest["tables"]:
                archive.add(Path(folder) / table, f"{DATABASE}{table}")
    said(f"Backed up {len(manifest['tables'])} tables and {objects} objects of {database_place(reach.database)}.")


def restore(reach: Reach, source: BinaryIO, said: Said, *, replace: bool = False) -> None:
    """Read an archive into a platform without data, whose services do not run; `replace` removes data that it has.

    The schema is then brought up to date. Raises BackupFailed.
    """
    with _as_failure(reach), tarfile.open(fileobj=source, mode="r|*") as archive:
        manifest = _read_manifest(archive)
        _empty_schema(reach.database, manifest["revision"], replace=replace)
        with open_object_store(reach.store) as store, _connected(reach.database) as connection:
            store.check()
            objects = _read_parts(archive, manifest, store, connection)
        upgrade(reach.database)
    said(f"Restored {len(manifest['tables'])} tables and {objects} objects, as of {manifest['made_at']}.")


def _write_tables(url: URL, folder: Path) -> dict[str, Any]:
    with _connected(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        revision = tables.revision(connection)
        if revision is None:
            raise BackupFailed("The database has no schema of ours: there is nothing to back up.")
        columns = {name: each for name, each in tables.tables(connection).items() if name != "alembic_version"}
        for name, each in columns.items():
            with (folder / name).open("wb") as file:
                tables.write_table(connection, name, each, file)
        last = tables.sequences(connection)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {"format": _FORMAT, "made_at": made, "revision": revision, "tables": columns, "sequences": last}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_object(archive: tarfile.TarFile, store: ObjectStore, key: str, size: int) -> bool:
    entry = tarfile.TarInfo(OBJECTS + key)
    entry.size = size
    try:
        with store.open(key) as content:
            archive.addfile(entry, content)
    except ObjectNotFound:  # deleted since it was listed
        return False
    return True


def _read_manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    entry = archive.next()
    content = archive.extractfile(entry) if entry is not None and entry.name == MANIFEST else None
    manifest = json.load(content) if content is not None else {}
    if manifest.get("format") != _FORMAT:
        raise BackupFailed("This is not an archive of `lossline backup`, or one of a newer version.")
    if manifest["revision"] not in revisions():
        raise BackupFailed(f"Its database is of a newer version (revision {manifest['revision']}); use that version.")
    return dict(manifest)


def _empty_schema(url: URL, revision: str, *, replace: bool) -> None:
    """The schema of the archive, without rows."""
    with _connected(url) as connection:
        held = tables.filled(connection)
    if held and not replace:
        place = database_place(url)
        raise BackupFailed(f"The database {place} has data ({', '.join(held)}); --replace removes them for good.")
    downgrade(url, "base")
    upgrade(url, revision)


def _read_parts(archive: tarfile.TarFile, manifest: dict[str, Any], store: ObjectStore, connection: Any) -> int:
    objects, missing = 0, set(manifest["tables"])
    with tables.references_at_the_end(connection):
        for name, content in _files(archive):
            if name.startswith(OBJECTS):
                store.put(name.removeprefix(OBJECTS), content)
                objects += 1
            else:
                table = name.removeprefix(DATABASE)
                tables.read_table(connection, table, manifest["tables"][table], content)
                missing.remove(table)
        if missing:
            raise BackupFailed(f"The archive is not whole: {', '.join(sorted(missing))} is not in it.")
    tables.set_sequences(connection, manifest["sequences"])
    return objects


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, BinaryIO]]:
    """What follows the manifest, in the order of the archive, which is read once."""
    for entry in iter(archive.next, None):
        content = archive.extractfile(entry)
        if content is None:
            raise BackupFailed(f"The archive holds {entry.name}, which is no file.")
        yield entry.name, cast("BinaryIO", content)


@contextmanager
def _connected(url: URL) -> Iterator[psycopg.Connection[Any]]:
    """One transaction."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, **session_arguments("lossline backup")) as connection:
        yield connection


@contextmanager
def _as_failure(reach: Reach) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise BackupFailed(f"The database {database_place(reach.database)} does not do it: {error}") from error
    except ObjectStoreError as error:
        raise BackupFailed(f"The object store does not do it: {error}") from error
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise BackupFailed(f"The archive cannot be used: {error}") from error
    except OSError as error:
        raise BackupFailed(f"The archive cannot be read or written: {error}") from error
