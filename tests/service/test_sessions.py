"""Sessions with the database do not outlive a host that is lost, on either side. Over TCP: tests/compose."""

import psycopg
from sqlalchemy import Engine

from shared.database.sessions import listen, session_arguments

_OF_CLIENT = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "30000"}


def asked_for(session: psycopg.Connection) -> dict[str, str]:
    """What libpq was given, and does with its side."""
    return {name: value for name, value in session.info.get_parameters().items() if name in {*_OF_CLIENT, "options"}}


def test_a_session_of_a_pool_asks_both_sides_to_look_after_each_other(engine: Engine):
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        assert asked_for(driver) == _OF_CLIENT | {"options": session_arguments("")["options"]}


def test_so_does_one_that_listens(engine: Engine):
    with listen(engine, "news", "tests-listener") as session, engine.begin() as connection:
        assert asked_for(session) == _OF_CLIENT | {"options": session_arguments("")["options"]}
        connection.exec_driver_sql("NOTIFY news, 'here'")
        connection.commit()
        assert [each.payload for each in session.notifies(timeout=10, stop_after=1)] == ["here"]
