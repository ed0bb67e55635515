"""Indexes of dates and quantities that have the ids of each value in order, so that a page in their order is read off.

The same columns in another order: every revision can use them.
"""

from __future__ import annotations

from alembic import op

from apothecary.store.migrations.expand import create_index

revision = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0010"

# A revision never changes once it is released, so it repeats what `tables.py` says instead of importing it.
_INDEXES = {
    "index_date_low": ("index_date", "low", "high"),
    "index_date_high": ("index_date", "high", "low"),
    "index_quantity_low": ("index_quantity", "low", "high"),
}


def _instead(name: str) -> tuple[str, str]:
    """What puts the new index in the place of the old one, on PostgreSQL."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}", f"ALTER INDEX {name}_anew RENAME TO {name}"


# What is taken away is there again, with its columns in another order.
contracts = tuple(statement for name in _INDEXES for statement in _instead(name))


def upgrade() -> None:
    """Make each index anew, under another name where others use the old one meanwhile."""
    for name, (table, first, last) in _INDEXES.items():
        _replace(name, table, [first, "id", last])


def downgrade() -> None:
    """Make each as it was."""
    for name, (table, first, last) in _INDEXES.items():
        _replace(name, table, [first, last, "id"])


def _replace(name: str, table: str, columns: list[str]) -> None:
    columns = ["type", "parameter", *columns]
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index(name, table, if_exists=True)
        op.create_index(name, table, columns)
        return
    create_index(f"{name}_anew", table, columns)
    with op.get_context().autocommit_block():
        for statement in _instead(name):
            op.execute(statement)
