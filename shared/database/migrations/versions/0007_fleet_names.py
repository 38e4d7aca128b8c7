"""Workers say what the fleet that started them calls them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("fleet_name", sa.String(255), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "fleet_name")
