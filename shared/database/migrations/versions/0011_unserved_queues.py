"""Worker controllers say why nobody serves a queue."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unserved_queues",
        sa.Column("queue", sa.String(255), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_unserved_queues")),
    )


def downgrade() -> None:
    op.drop_table("unserved_queues")
