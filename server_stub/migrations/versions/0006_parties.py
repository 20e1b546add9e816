"""Parties: their members, the day handle of a party, and which entries belong to party codes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There were no parties before: every existing entry belongs to a holder's own codes."""
    op.create_table(
        "parties",
        sa.Column("record", sa.String(16), primary_key=True),
        sa.Column("member", sa.String(16), primary_key=True),
    )
    op.create_index("ix_parties_member", "parties", ["member"])
    op.add_column("records", sa.Column("party_sub", sa.String(11)))
    op.add_column(
        "status_bits", sa.Column("party", sa.Boolean, nullable=False, server_default=sa.false())
    )
