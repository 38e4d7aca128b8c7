"""Migrations of the database. `upgrade` is run once, before the services start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL


def upgrade(url: URL, revision: str = "head") -> None:
    """Bring the database to the revision. Safe to call by several at once: they wait for each other."""
    command.upgrade(configuration(url), revision)


def downgrade(url: URL, revision: str) -> None:
    """Take the database back to the revision, `base` for no tables at all. What has no place there any more is lost."""
    command.downgrade(configuration(url), revision)


def revisions() -> frozenset[str]:
    """Every revision that this program knows."""
    script = ScriptDirectory.from_config(configuration(URL.create("postgresql")))
    return frozenset(each.revision for each in script.walk_revisions())


def configuration(url: URL) -> Config:
    """Alembic's configuration for a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config
