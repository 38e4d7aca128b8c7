"""Versions of the queue status, and progress that is told by workers of somebody else."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateSequence, DropSequence

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_VERSION = sa.Sequence("queue_status_version")


def upgrade() -> None:
    op.execute(CreateSequence(_VERSION))
    op.create_table(
        "reported_progress",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("events_total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("events_complete", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_reported_progress_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_reported_progress")),
    )


def downgrade() -> None:
    op.drop_table("reported_progress")
    op.execute(DropSequence(_VERSION))
