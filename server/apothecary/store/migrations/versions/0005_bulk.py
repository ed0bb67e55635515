"""Bulk exports and publications: the jobs, and the pieces of their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `bulk_tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "bulk_job",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False, comment="export or publish"),
        sa.Column("ended", sa.Boolean(), nullable=False, comment="whether nothing is left to be done"),
        sa.Column("owner", TEXT, nullable=False, comment="the process that works on it"),
        sa.Column(
            "until", sa.BigInteger(), nullable=False, comment="when it is anybody's again, in microseconds since 1970"
        ),
        sa.Column(
            "expires", sa.BigInteger(), nullable=False, comment="when it is forgotten, in microseconds since 1970"
        ),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="the job as JSON"),
    )
    op.create_table(
        "bulk_piece",
        sa.Column("file", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="a part of a file in the format of deflate"),
        sa.PrimaryKeyConstraint("file", "number"),
    )


def downgrade() -> None:
    """Drop them: the files of exports are gone then."""
    op.drop_table("bulk_piece")
    op.drop_table("bulk_job")
