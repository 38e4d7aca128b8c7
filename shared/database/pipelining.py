"""Statements that are sent together: one journey to the database for all of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """Send what the block executes without waiting for each answer; nothing of the answers can be read.

    Raises SQLAlchemy's errors, of whichever statement, at the end of the block at the latest.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"only psycopg sends statements together, not {type(driver).__name__}")
    try:
        with driver.pipeline():
            yield
    except psycopg.Error as error:
        if driver.broken:
            connection.invalidate(error)  # as SQLAlchemy does where it hears of it first: the pool makes another
        raise DBAPIError.instance(None, None, error, psycopg.Error) from error
