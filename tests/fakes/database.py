"""Databases for tests: one PostgreSQL server a session, one migrated template, one copy of it a test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from services.embedded.postgres import EmbeddedPostgres
from shared.database.migrations import upgrade

_TEMPLATE = "lossline_template"
# Files that the kernel copies take half the time of a copy by way of the log, which is the default.
_COPY = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
_DROP = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")


class DatabaseServer:
    """A server that belongs to the tests; it is not safe against power cuts, and faster for it."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._connection: psycopg.Connection | None = None
        server.create_database(_TEMPLATE)
        upgrade(self.url(_TEMPLATE))

    def url(self, name: str) -> URL:
        """Where a database is."""
        return make_url(self.server.url(name))

    def database(self) -> AbstractContextManager[URL]:
        """A migrated database of the test's own, dropped afterwards with whatever is still connected."""
        return self._copy(_TEMPLATE)

    def copy_of(self, url: URL) -> AbstractContextManager[URL]:
        """A database like this one, which nobody may be connected to."""
        return self._copy(str(url.database))

    def empty(self) -> AbstractContextManager[URL]:
        """A database without any table."""
        return self._copy("template1")

    def close(self) -> None:
        """Let go of the server, which may then be stopped."""
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _copy(self, template: str) -> Iterator[URL]:
        name = f"test_{uuid4().hex[:12]}"
        self._execute(_COPY.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield self.url(name)
        finally:
            self._execute(_DROP.format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        connection = self._connected()
        try:
            connection.execute(statement)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            # A test has killed the server and started it again.
            self._connected().execute(statement)

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            where = self.url("postgres").set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(where, autocommit=True)
            self._connection.execute("SET file_copy_method = clone")
        return self._connection


@contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """Start a server in a folder of its own; stop it and remove the folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="lossline-postgres-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        with (
            EmbeddedPostgres(path / "cluster", path / "log", durable=False) as server,
            closing(DatabaseServer(server)) as databases,
        ):
            yield databases
