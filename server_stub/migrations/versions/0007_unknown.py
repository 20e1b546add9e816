"""Columns for the fields of a later version that units report."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing unknown was stored before."""
    op.add_column("cells", sa.Column("unknown", sa.JSON))
    op.add_column("units", sa.Column("unknown", sa.JSON))
