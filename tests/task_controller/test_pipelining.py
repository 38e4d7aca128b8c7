"""Statements that are sent together: what they do, and how they fail."""

from collections.abc import Iterable

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from shared.database.pipelining import sent_together

_INSERT = text("INSERT INTO pipelined VALUES (:number)")


@pytest.fixture
def table(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE pipelined (number integer PRIMARY KEY)"))


def test_all_of_them_are_done_and_can_be_read_afterwards(engine: Engine, table: None) -> None:
    insert_together(engine, range(3))

    with engine.begin() as connection:
        found = connection.execute(text("SELECT number FROM pipelined ORDER BY 1")).scalars().all()

    assert found == [0, 1, 2]


def test_a_refused_one_is_told_as_any_other_and_nothing_of_the_transaction_stays(engine: Engine, table: None) -> None:
    with pytest.raises(IntegrityError) as refused:
        insert_together(engine, (1, 2, 2, 3))

    assert getattr(refused.value.orig, "sqlstate", None) == "23505"
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM pipelined")).scalar() == 0


def test_a_connection_that_is_lost_is_no_more_used(engine: Engine, table: None) -> None:
    connection = engine.connect()
    connection.begin()
    mine = connection.execute(text("SELECT pg_backend_pid()")).scalar()

    with pytest.raises(OperationalError):
        insert_and_end(engine, connection, mine)

    assert connection.invalidated
    connection.close()
    with engine.begin() as another:
        assert another.execute(text("SELECT count(*) FROM pipelined")).scalar() == 0


def insert_together(engine: Engine, numbers: Iterable[int]) -> None:
    with engine.begin() as connection, sent_together(connection):
        for number in numbers:
            connection.execute(_INSERT, {"number": number})


def insert_and_end(engine: Engine, connection: Connection, process: int) -> None:
    """Send a row, and have the server end the connection before it can answer."""
    with sent_together(connection):
        connection.execute(_INSERT, {"number": 1})
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": process})
