"""PostgreSQL's tables of the index without a key of each row: an index finds the rows of a resource, and keeps what
they have in common once.

No statement of the revisions before names the key, but for the end of a load into an empty database.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from apothecary.store.migrations.expand import create_index

revision = "0012"
down_revision: str | None = "0011"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0010"

# A revision never changes once it is released, so it repeats what `tables.py` says instead of importing it.
_TABLES = [f"index_{one}" for one in ("token", "string", "date", "quantity", "reference", "uri", "text")]

# What takes something away, or holds up those who write.
contracts = tuple(f"ALTER TABLE {one} DROP CONSTRAINT IF EXISTS {one}_pkey" for one in _TABLES)


def upgrade() -> None:
    """Make the indexes, then let the keys go: one after the other, because each takes its table for a moment."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for one in _TABLES:
        create_index(f"{one}_resource", one, ["type", "id"])
    with op.get_context().autocommit_block():
        for statement in contracts:
            op.execute(statement)


def downgrade() -> None:
    """Make the keys again. SQLite has them."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for one in _TABLES:
        op.create_primary_key(f"{one}_pkey", one, ["type", "id", "parameter", sa.quoted_name("row", quote=False)])
        op.drop_index(f"{one}_resource", one)
