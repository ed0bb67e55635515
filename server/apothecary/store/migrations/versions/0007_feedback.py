"""What EHRs told of cards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `feedback_tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "cds_feedback",
        sa.Column(
            "mark", TEXT, nullable=False, comment="of the statement; empty: of none that is known, or of the others"
        ),
        sa.Column("service", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("system", TEXT, nullable=False, comment="of the reason; empty where there is none"),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("commented", sa.BigInteger(), nullable=False, comment="how many of them came with a comment"),
        sa.Column(
            "latest", sa.BigInteger(), nullable=False, comment="when the last one came, in microseconds since 1970"
        ),
        sa.PrimaryKeyConstraint("mark", "service", "outcome", "system", "code"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("cds_feedback")
