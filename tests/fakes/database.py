"""Databases for tests: one PostgreSQL server a session, one migrated template, one copy of it a test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from services.embedded.postgres import EmbeddedPostgres
from shared.database.migrations import upgrade

_TEMPLATE = "lossline_template"


class DatabaseServer:
    """A server that belongs to the tests; it is not safe against power cuts, and faster for it."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
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

    @contextmanager
    def _copy(self, template: str) -> Iterator[URL]:
        name = f"test_{uuid4().hex[:12]}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield self.url(name)
        finally:
            self.server.drop_database(name)

    def _execute(self, statement: sql.Composed) -> None:
        where = self.url("postgres").set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """Start a server in a folder of its own; stop it and remove the folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="lossline-postgres-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        with EmbeddedPostgres(path / "cluster", path / "log", durable=False) as server:
            yield DatabaseServer(server)
