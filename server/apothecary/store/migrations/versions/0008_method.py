"""What made the current version of a resource: until now only its row among all versions said that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
COMMENT = "the interaction that made it; null for what is contained, which has no versions"


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column("resource", sa.Column("method", TEXT, comment=COMMENT))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("resource", "method")
