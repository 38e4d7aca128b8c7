"""Why AUTO chose its chunk counts, and what finds the earlier runs and the workers that it looks at."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("'{}'")
    advice = sa.Column("chunk_advice", postgresql.JSONB(astext_type=sa.Text()), server_default=empty, nullable=False)
    op.add_column("runs", advice)
    op.create_index(
        "ix_runs_completed",
        "runs",
        ["model_queue", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'COMPLETED'"),
    )
    op.create_index(op.f("ix_workers_queue"), "workers", ["queue"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_workers_queue"), table_name="workers")
    op.drop_index("ix_runs_completed", table_name="runs")
    op.drop_column("runs", "chunk_advice")
