"""Migrations of the database. `upgrade` is run once, before the services start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL


def upgrade(url: URL, revision: str = "head") -> None:
    """Bring the database to the revision. Safe to call by several at once: they wait for each other."""
    command.upgrade(configuration(url), revision)


def configuration(url: URL) -> Config:
    """Alembic's configuration for a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config
