"""How Alembic reaches the database: one transaction, one migrator at a time."""

from alembic import context
from sqlalchemy import create_engine, pool, text

import shared.database.accounts
import shared.database.execution
import shared.database.presigned_uploads
import shared.database.resources  # noqa: F401 - these modules fill the metadata
from shared.database.base import Table

_LOCK = 7_145_000

engine = create_engine(context.config.attributes["url"].set(drivername="postgresql+psycopg"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Table.metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        context.run_migrations()
    connection.commit()
