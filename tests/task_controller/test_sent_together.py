"""Statements that are sent together fail as if each had been sent alone, so that transactions are tried again."""

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from shared.database.execution import Canary
from shared.database.pipelining import sent_together
from shared.database.transactions import has_met_another

pytestmark = pytest.mark.integration

INSERT = insert(Canary)


def canary(name: str) -> dict[str, object]:
    return {"reaper_id": name, "value": 1}


def send(engine: Engine, *names: str) -> None:
    with engine.begin() as connection, sent_together(connection):
        for name in names:
            connection.execute(INSERT, canary(name))


def lose_the_connection(engine: Engine) -> None:
    with engine.begin() as connection, sent_together(connection):
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        connection.execute(INSERT, canary("lost"))


def end_before_the_answer(engine: Engine, connection: Connection) -> None:
    """Have the server end a connection on which a row has been sent."""
    process = connection.scalar(text("SELECT pg_backend_pid()"))
    with sent_together(connection):
        connection.execute(INSERT, canary("lost"))
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": process})


def names(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(Canary.reaper_id).order_by(Canary.reaper_id)))


def test_what_is_sent_together_is_committed_with_its_transaction(engine: Engine) -> None:
    with engine.begin() as connection:
        with sent_together(connection):
            connection.execute(INSERT, canary("a"))
            connection.execute(INSERT, [canary("b"), canary("c")])
        assert connection.scalar(select(func.count()).select_from(Canary)) == 3

    assert names(engine) == ["a", "b", "c"]


@pytest.mark.parametrize("later", [(), ("b", "c", "d")])
def test_two_transactions_that_met_are_known_as_such(engine: Engine, later: tuple[str, ...]) -> None:
    with pytest.raises(IntegrityError) as met:
        send(engine, "a", "a", *later)

    assert has_met_another(met.value)
    assert names(engine) == []


def test_a_connection_that_ends_is_an_operational_error_and_the_next_one_is_new(engine: Engine) -> None:
    with pytest.raises(OperationalError):
        lose_the_connection(engine)

    send(engine, "kept")
    assert names(engine) == ["kept"]


def test_a_connection_that_ends_before_the_answer_is_not_used_again(engine: Engine) -> None:
    connection = engine.connect()
    connection.begin()

    with pytest.raises(OperationalError):
        end_before_the_answer(engine, connection)

    assert connection.invalidated
    connection.close()
    assert names(engine) == []
