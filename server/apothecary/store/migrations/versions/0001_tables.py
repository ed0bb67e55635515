"""The tables of the first release: resources, their versions, the search indexes, what the server remembers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0001"

# A revision never changes once it is released, so it repeats what `tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")

FULL_TEXT = {
    "sqlite": (
        """CREATE TABLE index_text (
        number INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, parameter TEXT NOT NULL, row INTEGER NOT NULL,
        words TEXT NOT NULL, length INTEGER NOT NULL, element SMALLINT NOT NULL, UNIQUE (type, id, parameter, row))""",
        """CREATE VIRTUAL TABLE index_text_words USING fts5(
        words, content='index_text', content_rowid='number', tokenize='ascii')""",
    ),
    "postgresql": (
        """CREATE TABLE index_text (
        type TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, parameter TEXT COLLATE "C" NOT NULL,
        row INTEGER NOT NULL, words TSVECTOR NOT NULL, length INTEGER NOT NULL, element SMALLINT NOT NULL,
        PRIMARY KEY (type, id, parameter, row))""",
        "CREATE INDEX index_text_words ON index_text USING gin (words)",
    ),
}


def upgrade() -> None:
    """Make every table and index."""
    op.create_table(
        "resource",
        sa.Column("type", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False, comment="microseconds since 1970"),
        sa.Column("fhir_version", TEXT, nullable=False, comment="R4, R4B or R5: the version that body is written in"),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), comment="the JSON text, UTF-8, compact; null when deleted"),
        sa.PrimaryKeyConstraint("type", "id"),
    )
    op.create_index("resource_updated", "resource", ["type", "updated", "id"])
    op.create_table(
        "version",
        sa.Column("type", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("fhir_version", TEXT, nullable=False),
        sa.Column(
            "method", TEXT, nullable=False, comment="POST, PUT, PATCH or DELETE: the interaction that made this version"
        ),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("type", "id", "version"),
    )
    op.create_index("version_updated", "version", ["updated", "type", "id", "version"])
    op.create_index("version_type_updated", "version", ["type", "updated", "id", "version"])
    op.create_table(
        "state",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
        comment="what the server remembers about the database: content files, index fingerprint, page-link secret",
    )
    _index_table("token", _texts("system", "code"), {"code": ["code", "id", "system"], "system": ["system", "id"]})
    _index_table("string", _texts("prefix", "folded", "exact"), {"prefix": ["prefix", "id"]})
    bounds = [sa.Column("low", sa.BigInteger(), nullable=False), sa.Column("high", sa.BigInteger(), nullable=False)]
    _index_table("date", bounds, {"low": ["low", "high", "id"], "high": ["high", "low", "id"]})
    _index_table(
        "quantity",
        _texts("system", "code", "low", "high"),
        {"code": ["code", "low", "high", "id", "system"], "low": ["low", "high", "id"]},
    )
    _index_table(
        "reference",
        _texts("target_type", "target_id", "url", "version"),
        {"target": ["target_id", "id", "target_type"], "url": ["url", "id"]},
    )
    op.create_index("index_reference_source", "index_reference", ["target_type", "target_id", "type", "parameter"])
    _index_table("uri", _texts("prefix", "value"), {"prefix": ["prefix", "id"]})
    op.create_table(
        "vocabulary",
        sa.Column("type", TEXT, nullable=False),
        sa.Column("parameter", TEXT, nullable=False),
        sa.Column("trigram", TEXT, nullable=False),
        sa.Column("word", TEXT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False, comment="number of the word's trigrams"),
        sa.PrimaryKeyConstraint("type", "parameter", "trigram", "word"),
        sqlite_with_rowid=False,
    )
    for statement in FULL_TEXT[op.get_bind().dialect.name]:
        op.execute(statement)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _index_table(
    name: str, columns: list[sa.Column[str]] | list[sa.Column[int]], lookups: dict[str, list[str]]
) -> None:
    """A table of search values, keyed like all by type and id, with an index for each way to look it up."""
    op.create_table(
        f"index_{name}",
        sa.Column("type", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("parameter", TEXT, nullable=False),
        sa.Column("row", sa.Integer(), nullable=False, comment="numbers the rows of one parameter of one resource"),
        *columns,
        sa.Column(
            "element", sa.SmallInteger(), nullable=False, comment="numbers the element inside a composite parameter"
        ),
        sa.PrimaryKeyConstraint("type", "id", "parameter", "row"),
        sqlite_with_rowid=False,
    )
    for key, fields in lookups.items():
        op.create_index(f"index_{name}_{key}", f"index_{name}", ["type", "parameter", *fields])


def downgrade() -> None:
    """Drop every table, with everything in it."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE index_text_words")
    op.execute("DROP TABLE index_text")
    op.drop_table("vocabulary")
    for name in ("uri", "reference", "quantity", "date", "string", "token"):
        op.drop_table(f"index_{name}")
    for name in ("state", "version", "resource"):
        op.drop_table(name)
