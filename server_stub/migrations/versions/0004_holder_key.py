"""The phone's public key beside its record. A record that has none gets bearer codes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is there stays as it is."""
    op.add_column("records", sa.Column("holder_key", sa.LargeBinary(32)))
