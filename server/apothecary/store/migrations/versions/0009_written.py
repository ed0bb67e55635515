"""An index of current resources in the order of time, whatever their type."""

from __future__ import annotations

from alembic import op

from apothecary.store.migrations.expand import create_index

revision = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"


def upgrade() -> None:
    """Make the index."""
    create_index("resource_written", "resource", ["updated", "type", "id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("resource_written", "resource")
