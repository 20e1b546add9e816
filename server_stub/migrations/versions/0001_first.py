"""Cells, units and records. There is no downgrade: a program must not delete a store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables in an empty store."""
    op.create_table(
        "cells",
        sa.Column("site", sa.String(32), primary_key=True),
        sa.Column("unit", sa.String(32), primary_key=True),
        sa.Column("installation", sa.String(16), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("category", sa.String(16), nullable=False),
        sa.Column("from_s", sa.BigInteger, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("ix_cells_until_s", "cells", ["until_s"])
    op.create_table(
        "units",
        sa.Column("site", sa.String(32), primary_key=True),
        sa.Column("unit", sa.String(32), primary_key=True),
        sa.Column("first_s", sa.BigInteger, nullable=False),
        sa.Column("online", sa.Boolean),
        sa.Column("session", sa.BigInteger),
        sa.Column("installation", sa.String(16)),
        sa.Column("state_s", sa.BigInteger),
        sa.Column("health", sa.JSON),
        sa.Column("health_s", sa.BigInteger),
    )
    op.create_table(
        "records",
        sa.Column("record", sa.String(16), primary_key=True),
        sa.Column("issuer", sa.String(32), nullable=False),
        sa.Column("colour", sa.SmallInteger, nullable=False),
        sa.Column("aud", sa.JSON, nullable=False),
        sa.Column("scope", sa.String(140)),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("token_hash", sa.LargeBinary(32), unique=True),
        sa.Column("day", sa.Integer),
        sa.Column("sub", sa.String(11)),
    )
