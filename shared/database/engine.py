"""The engine: PostgreSQL only, found by the reference's names."""

from sqlalchemy import URL, Engine, create_engine, make_url


def open_engine(url: str | URL, *, name: str, pool_size: int = 5) -> Engine:
    """A pooled engine. `name` shows in pg_stat_activity. Raises ValueError for another database than PostgreSQL."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(f"Lossline needs PostgreSQL, not {parsed.get_backend_name()}: set OASIS_SERVER_DB_ENGINE")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"application_name": name, "connect_timeout": 10},
    )
