"""The embedded PostgreSQL: real servers, real faults."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from services.embedded import postgres_programs as programs
from services.embedded.errors import FolderInUse, FolderUnreachable, StartFailed
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.postgres_cluster import clear_stale_pid, options
from tests.embedded.living import Command, eventually, processes_naming

pytestmark = pytest.mark.integration


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder / "pg", folder / "pg.log", durable=False) as started:
        yield started


def ask(server: EmbeddedPostgres, statement: str, database: str = "postgres") -> object:
    engine = sa.create_engine(server.url(database), poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None


def test_databases_are_made_and_dropped(server: EmbeddedPostgres) -> None:
    # Given a database, with a name that needs quotes; made twice, it is kept
    server.create_database("of a-test")
    ask(server, "CREATE TABLE t AS SELECT 7 AS x", "of a-test")
    server.create_database("of a-test")
    assert ask(server, "SELECT x FROM t", "of a-test") == 7
    # When it is dropped, even with a client connected, and twice
    engine = sa.create_engine(server.url("of a-test"))
    connection = engine.connect()
    server.drop_database("of a-test")
    server.drop_database("of a-test")
    # Then it is gone
    connection.invalidate()
    engine.dispose()
    with pytest.raises(sa.exc.OperationalError, match="does not exist"):
        ask(server, "SELECT 1", "of a-test")


def test_only_the_socket_listens_and_its_folder_is_closed(server: EmbeddedPostgres, folder: Path) -> None:
    assert server.pid is not None
    assert [c for c in psutil.Process(server.pid).net_connections("inet") if c.status == "LISTEN"] == []
    assert stat.S_IMODE((folder / "pg" / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "pg" / "data").stat().st_mode) == 0o700


def test_durability_is_given_up_only_when_asked(server: EmbeddedPostgres) -> None:
    assert ask(server, "SHOW fsync") == "off"
    durable = options(18, Path("/s"), durable=True)
    assert not any(setting.startswith(("fsync", "full_page_writes", "synchronous_commit")) for setting in durable)


def test_a_killed_server_starts_again_with_its_data(server: EmbeddedPostgres, folder: Path) -> None:
    # Given a committed row
    ask(server, "CREATE TABLE kept AS SELECT 1 AS x")
    # When the server is killed, and leaves its postmaster.pid
    server.kill()
    assert (folder / "pg" / "data" / "postmaster.pid").exists()
    server.restart()
    # Then the row is there
    assert ask(server, "SELECT x FROM kept") == 1


def test_a_stale_pid_file_that_names_another_program_is_no_obstacle(folder: Path) -> None:
    # Given a cluster with the postmaster.pid of a crash, whose number is another program's by now
    with EmbeddedPostgres(folder / "pg", folder / "pg.log", durable=False):
        pass
    stale = folder / "pg" / "data" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{folder}\n")
    # Then it starts all the same
    with EmbeddedPostgres(folder / "pg", folder / "pg.log", durable=False) as server:
        assert ask(server, "SELECT 1") == 1
    assert not stale.exists()


def test_a_foreign_server_on_the_files_is_not_overrun(server: EmbeddedPostgres, folder: Path) -> None:
    with pytest.raises(FolderInUse, match=f"process {server.pid}"):
        clear_stale_pid(folder / "pg" / "data")


def test_a_second_command_on_the_same_folder_is_refused(server: EmbeddedPostgres, folder: Path) -> None:
    second = EmbeddedPostgres(folder / "pg", folder / "second.log")
    with pytest.raises(FolderInUse, match=f"in use by another Lossline .process {os.getpid()}"), second:
        pass
    assert ask(server, "SELECT 1") == 1


def test_a_killed_command_takes_its_server_with_it(folder: Path, command: Callable[[str], Command]) -> None:
    # Given a command that runs a server
    parent = command(f"""
        from pathlib import Path
        from services.embedded.postgres import EmbeddedPostgres
        EmbeddedPostgres(Path({str(folder)!r}) / "pg", Path({str(folder)!r}) / "pg.log", durable=False).__enter__()
    """)
    assert processes_naming(f"{folder}/pg/data")
    # When the command is killed
    parent.process.kill()
    parent.process.wait()
    # Then the next one need not even wait, and the first server is gone
    with EmbeddedPostgres(folder / "pg", folder / "pg.log", durable=False) as server:
        assert ask(server, "SELECT 1") == 1
    eventually(lambda: not processes_naming(f"{folder}/pg/data"))


def test_a_server_that_cannot_start_shows_its_log(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", folder / "pg.log", durable=False):
        pass
    with (folder / "pg" / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")
    with pytest.raises(StartFailed, match="no_such_setting"):
        EmbeddedPostgres(folder / "pg", folder / "pg.log").__enter__()


def test_a_path_too_long_for_a_socket_gets_a_short_one(folder: Path) -> None:
    deep = folder / ("d" * 90)
    with EmbeddedPostgres(deep, folder / "pg.log", durable=False) as server:
        assert ask(server, "SELECT 1") == 1
        short = server._socket_folder
    assert not short.is_relative_to(deep)
    short.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives PostgreSQL another account")
def test_a_folder_that_the_account_cannot_reach_is_named_and_left_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(FolderUnreachable, match="LOSSLINE_HOME"):
        EmbeddedPostgres(closed / "pg", folder / "pg.log").__enter__()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives PostgreSQL another account")
def test_programs_that_the_account_cannot_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an installation in a closed folder
    version, origin = max(programs.installed_versions().items())
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    package = closed / origin.parent.name
    shutil.copytree(origin, package / origin.name, symlinks=True)
    shutil.copytree(f"{origin.parent}.libs", f"{package}.libs")
    monkeypatch.setattr(programs, "installed_versions", lambda: {version: package / origin.name})
    # When a server is started
    with EmbeddedPostgres(folder / "pg", folder / "pg.log", durable=False) as server:
        # Then it runs from a copy, and the folder is as closed as before
        assert server._programs is not None
        assert server._programs.folder.is_relative_to(folder / "pg" / f"postgresql-{version}")
        assert ask(server, "SELECT 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_url_works_with_psycopg_too(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url("postgres").replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
