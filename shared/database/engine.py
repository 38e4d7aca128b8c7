"""The engine: PostgreSQL only, found by the reference's names."""

from sqlalchemy import URL, Engine, create_engine, make_url

from shared.database.sessions import session_arguments


def open_engine(url: str | URL, *, name: str, pool_size: int = 5, ping: bool = True) -> Engine:
    """A pooled engine. `name` shows in pg_stat_activity. Raises ValueError for another database than PostgreSQL.

    With `ping` a connection is asked whether it lives each time that it is taken from the pool; without, whoever uses a
    dead one gets OperationalError, and tries again with new ones.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(f"Lossline needs PostgreSQL, not {parsed.get_backend_name()}: set OASIS_SERVER_DB_ENGINE")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=ping,
        connect_args=session_arguments(name),
    )
