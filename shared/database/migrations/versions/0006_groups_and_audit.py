"""Groups and what belongs to them, attempts to log in, the audit; templates of settings, errors of portfolios."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MEMBERS = {"user": "users", "data_file": "data_files", "model": "models", "portfolio": "portfolios"}


def upgrade() -> None:
    _create_groups()
    _create_login_attempts()
    _create_audit()
    _create_setting_templates()
    op.add_column("portfolios", sa.Column("run_errors_file_id", sa.BigInteger(), nullable=True))
    name = op.f("fk_portfolios_run_errors_file_id")
    op.create_foreign_key(name, "portfolios", "files", ["run_errors_file_id"], ["id"], ondelete="SET NULL")
    op.add_column("users", sa.Column("is_service", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("users", sa.Column("token_generation", sa.Integer(), server_default=sa.text("0"), nullable=False))


def _create_groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
    )
    for name, target in MEMBERS.items():
        table, column = f"{name}_groups", f"{name}_id"
        op.create_table(
            table,
            sa.Column(column, sa.BigInteger(), nullable=False),
            sa.Column("group_id", sa.BigInteger(), nullable=False),
            _reference(table, column, target, "CASCADE"),
            _reference(table, "group_id", "groups", "CASCADE"),
            sa.PrimaryKeyConstraint(column, "group_id", name=op.f(f"pk_{table}")),
        )
        op.create_index(op.f(f"ix_{table}_group_id"), table, ["group_id"])


def _create_login_attempts() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("username", sa.String(length=150), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        _moment("at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_attempts")),
    )
    for columns in (["username", "at"], ["address", "at"], ["at"]):
        op.create_index(op.f(f"ix_login_attempts_{'_'.join(columns)}"), "login_attempts", columns)


def _create_audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _moment("at"),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("username", sa.String(length=150), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=True),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    for columns in (["at"], ["resource", "resource_id"], ["username"]):
        op.create_index(op.f(f"ix_audit_entries_{'_'.join(columns)}"), "audit_entries", columns)


def _create_setting_templates() -> None:
    table = "setting_templates"
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        _moment("created"),
        _moment("modified"),
        _reference(table, "creator_id", "users", "SET NULL"),
        _reference(table, "file_id", "files", "SET NULL"),
        _reference(table, "model_id", "models", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )
    op.create_index(op.f(f"ix_{table}_model_id"), table, ["model_id"])


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _reference(table: str, column: str, target: str, on_delete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete=on_delete)


def downgrade() -> None:
    op.drop_column("users", "token_generation")
    op.drop_column("users", "is_service")
    op.drop_column("portfolios", "run_errors_file_id")
    tables = (*(f"{name}_groups" for name in MEMBERS), "setting_templates", "audit_entries", "login_attempts", "groups")
    for table in tables:
        op.drop_table(table)
