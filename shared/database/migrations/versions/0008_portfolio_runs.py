"""Runs of portfolios: validations, exposure runs, transformations; which files have been found valid."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATUS_RUNS = ("exposure_run_id", "validation_run_id", "exposure_transform_run_id")


def upgrade() -> None:
    op.alter_column("runs", "analysis_id", existing_type=sa.BigInteger(), nullable=True)
    op.add_column("runs", sa.Column("portfolio_id", sa.BigInteger(), nullable=True))
    name = op.f("fk_runs_portfolio_id")
    op.create_foreign_key(name, "runs", "portfolios", ["portfolio_id"], ["id"], ondelete="CASCADE")
    op.create_check_constraint(op.f("ck_runs_owner"), "runs", "num_nonnulls(analysis_id, portfolio_id) = 1")
    is_of_portfolio = sa.text("portfolio_id IS NOT NULL")
    op.create_index(op.f("ix_runs_portfolio_id"), "runs", ["portfolio_id"], postgresql_where=is_of_portfolio)
    for column in STATUS_RUNS:
        op.add_column("portfolios", sa.Column(column, sa.BigInteger(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_portfolios_{column}"), "portfolios", "runs", [column], ["id"], ondelete="SET NULL"
        )
    op.add_column("portfolios", sa.Column("exposure_run_file_id", sa.BigInteger(), nullable=True))
    name = op.f("fk_portfolios_exposure_run_file_id")
    op.create_foreign_key(name, "portfolios", "files", ["exposure_run_file_id"], ["id"], ondelete="SET NULL")
    op.add_column("files", sa.Column("oed_validated", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("files", "oed_validated")
    op.drop_column("portfolios", "exposure_run_file_id")
    for column in STATUS_RUNS:
        op.drop_column("portfolios", column)
    op.execute("DELETE FROM runs WHERE analysis_id IS NULL")
    op.drop_constraint(op.f("ck_runs_owner"), "runs", type_="check")
    op.drop_column("runs", "portfolio_id")
    op.alter_column("runs", "analysis_id", existing_type=sa.BigInteger(), nullable=False)
