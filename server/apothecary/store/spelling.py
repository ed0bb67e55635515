"""Which texts have a part: each text that string and URI parameters find is kept once, whoever has it, with an index of
the threes of its characters (`search.parts`).

Texts stay when the last resource with them goes: what is found here is looked up among the rows of resources.
SQLite keeps the threes in an FTS5 table without content (https://www.sqlite.org/fts5.html#contentless_tables),
PostgreSQL as a tsvector with GIN (https://www.postgresql.org/docs/current/textsearch-indexes.html). An extension that
does the same, pg_trgm, is not there everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import Dialect

from apothecary.search.parts import Piece, sought, threes

# Not in the metadata of the other tables: each database makes these by statements of its own.
_metadata = MetaData()

# The column `number` only SQLite has, `parts` only PostgreSQL.
spelling = Table(
    "spelling",
    _metadata,
    Column("number", BigInteger),
    Column("prefix", Text(collation="C").with_variant(Text(), "sqlite"), nullable=False),
    Column("digest", Text(collation="C").with_variant(Text(), "sqlite"), nullable=False),
    Column("parts", TSVECTOR()),
)

# Only SQLite has it; its rowid is the number of a text. The column of its own name stands for all of them: without
# places of words, no single one can be asked.
spelling_parts = Table("spelling_parts", MetaData(), Column("rowid", BigInteger), Column("spelling_parts", Text))

_SQLITE = (
    "CREATE TABLE spelling (number INTEGER PRIMARY KEY, prefix TEXT NOT NULL, digest TEXT NOT NULL, "
    "UNIQUE (prefix, digest))",
    "CREATE VIRTUAL TABLE spelling_parts USING fts5(parts, content='', columnsize=0, tokenize='ascii', detail='none')",
)
# Of the list of what is to be added to the index each search reads all
# (https://www.postgresql.org/docs/current/gin.html#GIN-FAST-UPDATE): 256 kB, and not 4 MB.
_POSTGRESQL = (
    'CREATE TABLE spelling (prefix TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL, '
    "parts TSVECTOR NOT NULL, PRIMARY KEY (prefix, digest))",
    "CREATE INDEX IF NOT EXISTS spelling_parts ON spelling USING gin (parts) WITH (gin_pending_list_limit = 256)",
)

_LAST = "SELECT coalesce(max(number), 0) FROM spelling"
_ADD = "INSERT INTO spelling (prefix, digest) VALUES (?, ?) ON CONFLICT DO NOTHING"
_ADDED = "SELECT number, prefix, digest FROM spelling WHERE number > ?"
_LEARN = "INSERT INTO spelling_parts (rowid, parts) VALUES (?, ?)"
# PostgreSQL takes all of them at once, as one array for each column.
_ADD_WHOLE = (
    "INSERT INTO spelling (prefix, digest, parts) SELECT prefix, digest, parts::tsvector "
    "FROM unnest(%s::text[], %s::text[], %s::text[]) AS given (prefix, digest, parts) ON CONFLICT DO NOTHING"
)


def statements(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make the tables, in order."""
    return _SQLITE if dialect.name == "sqlite" else _POSTGRESQL


def leaving_out(dialect: Dialect) -> tuple[str, ...]:
    """The statements after which texts may be kept without the index of their threes, where that is one apart."""
    return () if dialect.name == "sqlite" else ("DROP INDEX IF EXISTS spelling_parts",)


def making_up(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make it."""
    return () if dialect.name == "sqlite" else _POSTGRESQL[1:]


def add(cursor: Any, pieces: Sequence[Piece], *, sqlite: bool) -> None:
    """Keep those pieces of texts that are not here yet. In order, so that writers of the same texts wait for each other
    instead of both failing. `cursor` is that of a transaction, of either driver.
    """
    found = sorted(pieces)
    if not sqlite:
        parts = [" ".join(f"'{three}'" for three in threes(text)) for _, _, text in found]
        cursor.execute(_ADD_WHOLE, ([prefix for prefix, _, _ in found], [digest for _, digest, _ in found], parts))
        return
    ((last,),) = cursor.execute(_LAST, ()).fetchall()
    cursor.executemany(_ADD, [one[:2] for one in found])
    said = {(prefix, digest): text for prefix, digest, text in found}
    # What this transaction, the only one that writes, has added.
    added = cursor.execute(_ADDED, (last,)).fetchall()
    cursor.executemany(_LEARN, [(number, " ".join(threes(said[tuple(key)]))) for number, *key in added])


def query(dialect: Dialect, part: str) -> str:
    """A question for texts that may have a part, in the database's language of queries."""
    asked = sought(part)
    if dialect.name == "sqlite":
        return " AND ".join(f'"{three}"' + (" *" if asked.begun else "") for three in asked.threes)
    return " & ".join(f"'{three}'" + (":*" if asked.begun else "") for three in asked.threes)
