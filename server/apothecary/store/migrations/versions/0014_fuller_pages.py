"""Fuller pages of PostgreSQL's indexes of the index tables, once each is made anew (`REINDEX`): here it is only noted.

Every revision can use them.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0010"

# A revision never changes once it is released, so it repeats what `tables.py` says instead of importing it.
_INDEXES = {
    "token": ("code", "system"),
    "string": ("prefix",),
    "date": ("low", "high"),
    "quantity": ("code", "low"),
    "reference": ("target", "url", "source"),
    "uri": ("prefix",),
    "text": (),
}


def upgrade() -> None:
    """Leave a twentieth of each page free, and not a tenth."""
    _each("SET (fillfactor = 95)")


def downgrade() -> None:
    """Leave a tenth free, as without a word."""
    _each("RESET (fillfactor)")


def _each(what: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, names in _INDEXES.items():
            for name in ("resource", *names):
                op.execute(f"ALTER INDEX index_{table}_{name} {what}")
