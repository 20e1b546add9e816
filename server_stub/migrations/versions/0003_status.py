"""The entries of status lists."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; no code had an entry before."""
    op.create_table(
        "status_bits",
        sa.Column("issuer", sa.String(32), primary_key=True),
        sa.Column("list", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bit", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.String(16), nullable=False),
        sa.Column("day", sa.Integer),
        sa.Column("until_day", sa.Integer, nullable=False),
        sa.Column("revoked", sa.Boolean, nullable=False),
    )
    op.create_index("ix_status_bits_until_day", "status_bits", ["until_day"])
    op.create_index("ix_status_bits_record", "status_bits", ["record", "day"])
    op.create_index(
        "ix_status_bits_revoked",
        "status_bits",
        ["issuer", "list", "bit"],
        sqlite_where=sa.text("revoked"),
        postgresql_where=sa.text("revoked"),
    )
