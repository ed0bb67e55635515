"""The concepts of large code systems, each in a row of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `concept_tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")

WORDS = {
    "sqlite": """CREATE VIRTUAL TABLE concept_words USING fts5(
        words, content='concept', content_rowid='number', tokenize='ascii', detail='none', prefix='1 2 3 4 5 6 7 8')""",
    "postgresql": "CREATE INDEX concept_words ON concept USING gin (words)",
}


def upgrade() -> None:
    """Make the tables, and the index of words."""
    op.create_table(
        "code_system",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False, comment="the version of the resource that the rest is of"),
        sa.Column("url", TEXT, nullable=False, comment="shortened as an index key"),
        sa.Column("first", sa.BigInteger(), nullable=False, comment="the number of its first concept"),
        sa.Column("last", sa.BigInteger(), nullable=False, comment="the number of its last concept"),
        sa.Column("digest", TEXT, nullable=False, comment="the same where the concepts are"),
        sa.Column("head", sa.LargeBinary(), nullable=False, comment="the resource without its concepts, as JSON"),
    )
    op.create_index("code_system_url", "code_system", ["url"])
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "concept",
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("code", TEXT, nullable=False, comment="shortened as an index key"),
        sa.Column("parents", TEXT, comment="a JSON list of codes"),
        sa.Column("inactive", sa.Boolean(), nullable=False),
        sa.Column("abstract", sa.Boolean(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.Column(
            "element", sa.LargeBinary(), nullable=False, comment="the concept as JSON, without what is nested in it"
        ),
    )
    op.create_index("concept_code", "concept", ["code", "number"])
    op.create_table(
        "concept_property",
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("property", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False, comment="shortened as an index key"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first", "property", "value", "number"),
        sqlite_with_rowid=False,
    )
    op.execute(WORDS[op.get_bind().dialect.name])


def downgrade() -> None:
    """Drop them; the resources stay."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE concept_words")
    for name in ("concept_property", "concept", "code_system"):
        op.drop_table(name)
