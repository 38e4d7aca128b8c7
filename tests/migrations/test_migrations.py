"""The migrations make the tables that the code has, and can be undone one by one."""

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine, inspect

from shared.database.base import Table
from shared.database.migrations import configuration

pytestmark = pytest.mark.integration


def test_every_revision_can_be_undone_and_the_last_one_has_the_tables_of_the_code(database: URL) -> None:
    config = configuration(database)
    revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]

    for revision in (*revisions[1:], "base"):
        command.downgrade(config, revision)
    command.upgrade(config, "head")

    command.check(config)
    engine = create_engine(database)
    assert set(inspect(engine).get_table_names()) - {"alembic_version"} == set(Table.metadata.tables)
    engine.dispose()
