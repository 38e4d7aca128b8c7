"""Runs are history: their files, what they were resumed from, and objects that are to be removed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("prefix", sa.String(length=1024), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removals")),
    )
    op.create_table(
        "run_files",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_run_files_file_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_files_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_run_files")),
    )
    op.create_index(op.f("ix_run_files_file_id"), "run_files", ["file_id"], unique=False)
    _alter_runs()
    _alter_sub_tasks()
    op.create_index(op.f("ix_attempts_run_id"), "attempts", ["run_id"], unique=False)


def _alter_runs() -> None:
    empty = sa.text("'{}'")
    version = sa.Column("model_version", postgresql.JSONB(astext_type=sa.Text()), server_default=empty, nullable=False)
    op.add_column("runs", version)
    op.add_column("runs", sa.Column("resumed_from_id", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("objects_swept_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_runs_resumed_from_id"), "runs", "runs", ["resumed_from_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(
        op.f("ix_runs_resumed_from_id"),
        "runs",
        ["resumed_from_id"],
        unique=False,
        postgresql_where=sa.text("resumed_from_id IS NOT NULL"),
    )


def _alter_sub_tasks() -> None:
    op.add_column("sub_tasks", sa.Column("copied_from_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_sub_tasks_copied_from_id"), "sub_tasks", "sub_tasks", ["copied_from_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(
        op.f("ix_sub_tasks_copied_from_id"),
        "sub_tasks",
        ["copied_from_id"],
        unique=False,
        postgresql_where=sa.text("copied_from_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_attempts_run_id"), table_name="attempts")
    op.drop_column("sub_tasks", "copied_from_id")
    op.drop_column("runs", "objects_swept_at")
    op.drop_column("runs", "resumed_from_id")
    op.drop_column("runs", "model_version")
    op.drop_table("run_files")
    op.drop_table("removals")
