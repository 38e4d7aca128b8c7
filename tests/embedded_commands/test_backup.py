"""`lossline backup` and `restore`: what is there comes back, rows and bytes, and nothing is overwritten."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, Engine, create_engine, insert

from services.embedded.archive import BackupFailed, backup, restore
from services.embedded.archive_tables import tables
from services.embedded.reach import Reach
from shared.core.states import RunState, SubTaskState
from shared.database.resources import Portfolio
from shared.object_store import DirectorySettings, ObjectStoreSettings, open_object_store
from tests.embedded_commands.rows import Rows
from tests.fakes.database import DatabaseServer

pytestmark = pytest.mark.integration

OBJECTS = {"runs/1/attempt-a/output.tar.gz": b"losses", "logs/empty": b""}


def reach_of(database: URL, folder: Path) -> Reach:
    folder.mkdir()
    store = ObjectStoreSettings(DirectorySettings(folder))
    return Reach("a platform", database, "amqp://nobody@nowhere/", store, "http://nowhere/", "http://nowhere/")


@pytest.fixture
def platform(database: URL, engine: Engine, tmp_path: Path) -> Reach:
    """One with a run, objects, and tables that refer to each other."""
    rows = Rows(engine)
    run = rows.run(RunState.ACTIVE, requested=100)
    sub_task = rows.sub_task(run, SubTaskState.STARTED, 0)
    rows.attempt(sub_task, run, "w1", rows.ago(-5))
    rows.outbox(3)
    reach = reach_of(database, tmp_path / "objects")
    with open_object_store(reach.store) as store:
        for key, content in OBJECTS.items():
            store.put(key, io.BytesIO(content))
    return reach


def archived(reach: Reach) -> bytes:
    written = io.BytesIO()
    backup(reach, written, lambda _: None)
    return written.getvalue()


def rows_of(database: URL) -> dict[str, list[Any]]:
    address = database.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        queries = {name: f'SELECT t::text FROM "{name}" t ORDER BY 1' for name in tables(connection)}  # noqa: S608
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}  # type: ignore[call-overload]


def objects_of(reach: Reach) -> dict[str, bytes]:
    with open_object_store(reach.store) as store:
        return {info.key: store.open(info.key).read() for info in store.list("")}


def new_portfolio(database: URL) -> int:
    """Its id."""
    opened = create_engine(database)
    with opened.begin() as connection:
        portfolio = connection.execute(insert(Portfolio).values(name="later").returning(Portfolio.id)).scalar_one()
    opened.dispose()
    return int(portfolio)


def test_an_empty_platform_becomes_the_one_that_was_backed_up(
    platform: Reach, server: DatabaseServer, tmp_path: Path
) -> None:
    archive, said = archived(platform), list[str]()
    with server.empty() as url:
        other = reach_of(url, tmp_path / "others")
        restore(other, io.BytesIO(archive), said.append)
        assert rows_of(url) == rows_of(platform.database)
        assert len(rows_of(url)["runs"]) == 1
        assert objects_of(other) == OBJECTS
        # And what is new gets ids of its own
        assert new_portfolio(url) == new_portfolio(platform.database) > 1
    assert said[0].startswith(f"Restored {len(rows_of(platform.database)) - 1} tables and 2 objects, as of 20")


def test_a_platform_with_data_keeps_them_unless_they_are_to_be_replaced(platform: Reach, engine: Engine) -> None:
    archive, before = archived(platform), rows_of(platform.database)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")
    with pytest.raises(BackupFailed, match=r"has data \(.*runs.*\); --replace removes them for good"):
        restore(platform, io.BytesIO(archive), lambda _: None)
    assert rows_of(platform.database)["outbox"] == []
    restore(platform, io.BytesIO(archive), lambda _: None, replace=True)
    assert rows_of(platform.database) == before


def changed(archive: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The archive with another manifest."""
    written = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=written, mode="w") as target:
        for entry in source:
            content = source.extractfile(entry).read()  # type: ignore[union-attr]
            if entry.name == "backup.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
                entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return written.getvalue()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: b"no archive", "cannot be used"),
        (lambda archive: archive[: len(archive) // 2], "cannot be used|cannot be read|is not whole"),
        (lambda archive: changed(archive, lambda manifest: manifest.update(format=2)), "or one of a newer version"),
        (lambda archive: changed(archive, lambda manifest: manifest.update(revision="9999")), "version .revision 9999"),
        (lambda archive: changed(archive, lambda manifest: manifest["tables"].update(more=[])), "not whole: more is"),
    ],
    ids=["no archive", "cut", "format", "revision", "table"],
)
def test_an_archive_that_cannot_be_used_leaves_no_rows(
    platform: Reach, server: DatabaseServer, tmp_path: Path, spoil: Callable[[bytes], bytes], says: str
) -> None:
    archive = spoil(archived(platform))
    with server.empty() as url:
        with pytest.raises(BackupFailed, match=says):
            restore(reach_of(url, tmp_path / "others"), io.BytesIO(archive), lambda _: None)
        assert all(not rows for name, rows in rows_of(url).items() if name != "alembic_version")


def test_a_database_without_a_schema_has_nothing_to_back_up(server: DatabaseServer, platform: Reach) -> None:
    with server.empty() as url, pytest.raises(BackupFailed, match="nothing to back up"):
        backup(replace(platform, database=url), io.BytesIO(), lambda _: None)
