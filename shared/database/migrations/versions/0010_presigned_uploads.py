"""Uploads that clients make straight to the object store."""

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


def downgrade() -> None:
    op.drop_table("presigned_uploads")
