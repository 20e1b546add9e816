"""A column for the number of a unit's connection, by which a late will is ignored."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; units of before have no such number."""
    op.add_column("units", sa.Column("connection", sa.BigInteger))
