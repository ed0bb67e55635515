"""An index of the deleted resources alone: how many there are of a type is what a count of the rest takes away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from apothecary.store.migrations.expand import create_index

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"


def upgrade() -> None:
    """Make the index."""
    create_index(
        "resource_deleted",
        "resource",
        ["type"],
        sqlite_where=sa.text("deleted = 1"),
        postgresql_where=sa.column("deleted", sa.Boolean()),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_index("resource_deleted", "resource")
