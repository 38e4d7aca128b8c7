"""Uploads that clients make straight to the object store; the traces of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "presigned_uploads",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(64), nullable=False),
        sa.Column("key", sa.String(1024), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("created", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("expires", MOMENT, nullable=False),
        sa.Column("completed", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presigned_uploads")),
        sa.ForeignKeyConstraint(
            ["portfolio_id"], ["portfolios.id"], name=op.f("fk_presigned_uploads_portfolio_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_presigned_uploads_creator_id"), ondelete="SET NULL"
        ),
    )
    op.create_index(op.f("ix_presigned_uploads_portfolio_id"), "presigned_uploads", ["portfolio_id"])
    op.create_index(op.f("ix_presigned_uploads_expires"), "presigned_uploads", ["expires"])
    op.add_column("runs", sa.Column("trace_parent", sa.String(64), nullable=True))
    op.add_column("runs", sa.Column("traced_at", MOMENT, nullable=True))
    is_due = sa.text("trace_parent IS NOT NULL AND traced_at IS NULL")
    op.create_index("ix_runs_untraced", "runs", ["ended_at"], postgresql_where=is_due)
    op.add_column("attempts", sa.Column("step_ended_at", MOMENT, nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "step_ended_at")
    op.drop_index("ix_runs_untraced", table_name="runs")
    op.drop_column("runs", "traced_at")
    op.drop_column("runs", "trace_parent")
    op.drop_table("presigned_uploads")
