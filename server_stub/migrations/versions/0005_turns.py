"""The colour that a record changes to by itself, and when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no record had such a change before."""
    op.add_column("records", sa.Column("turn_colour", sa.SmallInteger))
    op.add_column("records", sa.Column("turn_s", sa.BigInteger))
