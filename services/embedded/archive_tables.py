"""The tables of a platform as files, and back: what `lossline backup` keeps of a database.

Written in PostgreSQL's own text format, by COPY, in one snapshot. Read into a schema of the same revision, in one
transaction: references between tables are looked at when all rows are there.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import psycopg
from psycopg import sql

_BLOCK = 1 << 20
_REVISION = "alembic_version"
_COLUMNS = """
SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position)
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND is_generated = 'NEVER'
GROUP BY table_name ORDER BY table_name
"""
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1"
_REFERENCES = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY 1, 2
"""

Connection = psycopg.Connection[Any]
Columns = Mapping[str, list[str]]


def revision(connection: Connection) -> str | None:
    """The revision of the schema; None where there is none of ours."""
    if _REVISION not in tables(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def tables(connection: Connection) -> Columns:
    """Every table with its columns, those left out that the database computes."""
    return {str(name): list(columns) for name, columns in connection.execute(_COLUMNS)}


def filled(connection: Connection) -> list[str]:
    """The tables that have rows."""
    names = [name for name in tables(connection) if name != _REVISION]
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})")
    return [name for name in names if _one(connection.execute(query.format(sql.Identifier(name))))]


def sequences(connection: Connection) -> dict[str, int | None]:
    """The last number of each sequence; None for one that was never used."""
    return dict(connection.execute(_SEQUENCES).fetchall())


def write_table(connection: Connection, table: str, columns: Iterable[str], target: BinaryIO) -> None:
    """All rows of a table."""
    with connection.cursor().copy(_copy("TO STDOUT", table, columns)) as rows:
        for block in rows:
            target.write(block)


def read_table(connection: Connection, table: str, columns: Iterable[str], source: BinaryIO) -> None:
    """Rows as `write_table` has written them."""
    with connection.cursor().copy(_copy("FROM STDIN", table, columns)) as rows:
        for block in iter(lambda: source.read(_BLOCK), b""):
            rows.write(block)


def set_sequences(connection: Connection, last: Mapping[str, int | None]) -> None:
    """Have sequences go on where they were."""
    for name, value in last.items():
        if value is not None:
            connection.execute("SELECT setval(%s::regclass, %s)", (_quoted(name), value))


@contextmanager
def references_at_the_end(connection: Connection) -> Iterator[None]:
    """Whether rows refer to rows that are there is looked at when all of them are read."""
    found = connection.execute(_REFERENCES).fetchall()
    for table, name in found:
        connection.execute(_alter(table, name, "DEFERRABLE INITIALLY DEFERRED"))
    yield
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table, name in found:
        connection.execute(_alter(table, name, "NOT DEFERRABLE"))


def _copy(direction: str, table: str, columns: Iterable[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) {}").format(sql.Identifier(table), names, sql.SQL(direction))


def _alter(table: str, name: str, how: str) -> sql.Composed:
    # The table comes from regclass, which quotes it where it must.
    return sql.SQL("ALTER TABLE {} ALTER CONSTRAINT {} {}").format(sql.SQL(table), sql.Identifier(name), sql.SQL(how))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _one(cursor: psycopg.Cursor[Any]) -> bool:
    row = cursor.fetchone()
    return bool(row and row[0])
