"""The phone's public key in its record. A record without a key gets bearer codes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; existing records have no key."""
    op.add_column("records", sa.Column("holder_key", sa.LargeBinary(32)))
