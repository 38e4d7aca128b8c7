"""Statements that are sent together: what they do, and how they fail."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from shared.database.pipelining import sent_together

_INSERT = text("INSERT INTO pipelined VALUES (:number)")


@pytest.fixture
def table(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE pipelined (number integer PRIMARY KEY)"))


def test_all_of_them_are_done_and_can_be_read_afterwards(engine: Engine, table: None) -> None:
    with engine.begin() as connection:
        with sent_together(connection):
            for number in range(3):
                connection.execute(_INSERT, {"number": number})
        found = connection.execute(text("SELECT number FROM pipelined ORDER BY 1")).scalars().all()

    assert found == [0, 1, 2]


def test_a_refused_one_is_told_as_any_other_and_nothing_of_the_transaction_stays(engine: Engine, table: None) -> None:
    with pytest.raises(IntegrityError) as refused, engine.begin() as connection, sent_together(connection):
        for number in (1, 2, 2, 3):
            connection.execute(_INSERT, {"number": number})

    assert getattr(refused.value.orig, "sqlstate", None) == "23505"
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM pipelined")).scalar() == 0


def test_a_connection_that_is_lost_is_no_more_used(engine: Engine, table: None) -> None:
    with pytest.raises(OperationalError), engine.connect() as connection, connection.begin():
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
        try:
            with sent_together(connection):
                connection.execute(_INSERT, {"number": 1})
        finally:
            assert connection.invalidated

    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM pipelined")).scalar() == 0
