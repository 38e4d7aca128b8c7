"""Accounts that an OpenID Connect provider vouches for."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("issuer", sa.String(255), nullable=True))
    op.add_column("users", sa.Column("subject", sa.String(255), nullable=True))
    op.add_column("users", sa.Column("claims_at", sa.DateTime(timezone=True), nullable=True))
    op.create_unique_constraint(op.f("uq_users_issuer_subject"), "users", ["issuer", "subject"])


def downgrade() -> None:
    op.drop_constraint(op.f("uq_users_issuer_subject"), "users", type_="unique")
    for column in ("claims_at", "subject", "issuer"):
        op.drop_column("users", column)
