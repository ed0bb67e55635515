"""The assertions of clients that were used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `assertion_tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "access_assertion",
        sa.Column("client", TEXT, nullable=False),
        sa.Column("jti", TEXT, nullable=False, comment="its SHA-256"),
        sa.Column("expires", sa.BigInteger(), nullable=False, comment="in seconds since 1970"),
        sa.PrimaryKeyConstraint("client", "jti"),
    )
    op.create_index("access_assertion_expires", "access_assertion", ["expires"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("access_assertion")
