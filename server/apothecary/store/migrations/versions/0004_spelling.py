"""The texts that string and URI parameters find, each once, with an index of their parts."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `spelling.py` says instead of importing it.
TABLES = {
    "sqlite": (
        "CREATE TABLE spelling (number INTEGER PRIMARY KEY, prefix TEXT NOT NULL, digest TEXT NOT NULL, "
        "UNIQUE (prefix, digest))",
        "CREATE VIRTUAL TABLE spelling_parts USING fts5("
        "parts, content='', columnsize=0, tokenize='ascii', detail='none')",
    ),
    "postgresql": (
        'CREATE TABLE spelling (prefix TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL, '
        "parts TSVECTOR NOT NULL, PRIMARY KEY (prefix, digest))",
        "CREATE INDEX spelling_parts ON spelling USING gin (parts) WITH (gin_pending_list_limit = 256)",
    ),
}


def upgrade() -> None:
    """Make the tables. The index is made anew by the rules of this version, and fills them."""
    for statement in TABLES[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; what is found by them is found by a look at each text then."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE spelling_parts")
    op.drop_table("spelling")
