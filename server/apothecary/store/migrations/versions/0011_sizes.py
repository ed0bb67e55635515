"""SQLite's index of words without the number of words of each passage, which nobody asks it for."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision: str | None = "0010"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0010"

# A revision never changes once it is released, so it repeats what `fulltext.py` says instead of importing it.
_MADE = """CREATE VIRTUAL TABLE index_text_words USING fts5(
        words, content='index_text', content_rowid='number', {}tokenize='ascii')"""


def upgrade() -> None:
    """Make the index anew out of the passages (https://www.sqlite.org/fts5.html#the_columnsize_option)."""
    _make("columnsize=0, ")


def downgrade() -> None:
    """Make it with them."""
    _make("")


def _make(option: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE index_text_words")
        op.execute(_MADE.format(option))
        op.execute("INSERT INTO index_text_words (index_text_words) VALUES ('rebuild')")
