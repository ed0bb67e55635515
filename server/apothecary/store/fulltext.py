"""Full text in the two databases: FTS5 (https://www.sqlite.org/fts5.html) and tsvector with GIN
(https://www.postgresql.org/docs/current/datatype-textsearch.html).

Both are given words that are cut and folded already (`search.words`), and so match the same. Every passage has one more
word, its scope, that names the resource type and parameter: an index on words alone then serves each parameter.

SQLite keeps the words in `index_text` and their index beside it, in `index_text_words`, an FTS5 table of external
content that the writer keeps in step; PostgreSQL keeps both in one column.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import BigInteger, Column, Integer, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.engine import Dialect

from apothecary.fhir.caches import short_cache
from apothecary.search.contained import MARK
from apothecary.search.predicates import Phrase
from apothecary.search.words import BOUNDARY, PIECE

# Not in the metadata of the other tables: each database makes these by statements of its own.
_metadata = MetaData()

index_text = Table(
    "index_text",
    _metadata,
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("parameter", Text, nullable=False),
    Column("row", Integer, nullable=False),
    Column("words", Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
    Column("length", Integer, nullable=False, comment="number of words"),
    Column("element", SmallInteger, nullable=False),
)

# Only SQLite has it. Its rowid is the column `number` that only SQLite's index_text has.
index_text_words = Table("index_text_words", _metadata, Column("rowid", BigInteger), Column("words", Text))

QUERY = TSQUERY()

_SQLITE = (
    # A number of our own: VACUUM may change those that SQLite gives by itself.
    """CREATE TABLE index_text (
        number INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, parameter TEXT NOT NULL, row INTEGER NOT NULL,
        words TEXT NOT NULL, length INTEGER NOT NULL, element SMALLINT NOT NULL, UNIQUE (type, id, parameter, row))""",
    # The tokenizer cuts at ASCII characters that are neither letters nor digits: at our spaces, and nowhere else. How
    # many words a passage has is asked of the column `length`.
    """CREATE VIRTUAL TABLE index_text_words USING fts5(
        words, content='index_text', content_rowid='number', columnsize=0, tokenize='ascii')""",
)
_POSTGRESQL = (
    """CREATE TABLE index_text (
        type TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, parameter TEXT COLLATE "C" NOT NULL,
        row INTEGER NOT NULL, words TSVECTOR NOT NULL, length INTEGER NOT NULL, element SMALLINT NOT NULL)""",
    "CREATE INDEX index_text_resource ON index_text (type, id) WITH (fillfactor = 95)",
    "CREATE INDEX IF NOT EXISTS index_text_words ON index_text USING gin (words)",
)

# SQLite: before passages of a resource go, and after new ones came. These have the largest numbers: those above a
# number came last, and are not in the index yet.
LAST = "SELECT coalesce(max(number), 0) FROM index_text"
FORGET = """INSERT INTO index_text_words (index_text_words, rowid, words)
    SELECT 'delete', number, words FROM index_text WHERE type = ? AND id = ? AND number <= ?"""
LEARN = "INSERT INTO index_text_words (rowid, words) SELECT number, words FROM index_text WHERE number > ?"


# SQLite: all passages anew.
_REBUILD = "INSERT INTO index_text_words (index_text_words) VALUES ('rebuild')"


def leaving_out(dialect: Dialect) -> tuple[str, ...]:
    """The statements after which passages may be written without their index: on SQLite none, the writer does it."""
    return () if dialect.name == "sqlite" else ("DROP INDEX IF EXISTS index_text_words",)


def making_up(dialect: Dialect) -> tuple[str, ...]:
    """The statements that index all passages."""
    return (_REBUILD,) if dialect.name == "sqlite" else _POSTGRESQL[2:]


def statements(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make the tables of full text, in order."""
    return _SQLITE if dialect.name == "sqlite" else _POSTGRESQL


@short_cache(4096)
def scope(resource_type: str, parameter: str) -> str:
    """The word that marks the passages of one parameter: short, because each passage repeats it, behind a private
    character that is in no word of a text. That of a contained resource has one more character.
    """
    alone = resource_type.removesuffix(MARK)
    return f"\ue001{stands_for(alone)}{'x' if alone != resource_type else ''}{stands_for(parameter)}"


def stands_for(name: str) -> str:
    """What stands for a type or a parameter there: a hash, of eight letters and digits."""
    return b32encode(blake2b(name.encode(), digest_size=5).digest()).decode().lower()


def document(resource_type: str, parameter: str, words: str, *, sqlite: bool) -> str:
    """The words of a passage in the form that the column `words` takes."""
    mark = scope(resource_type, parameter)
    if sqlite:
        return f"{mark} {BOUNDARY} {words}"
    places: dict[str, list[str]] = {}
    for place, word in enumerate(words.split(" "), start=1):
        if word != BOUNDARY:
            places.setdefault(word, []).append(str(place))
    return " ".join((f"'{mark}'", *(f"'{word}':{','.join(at)}" for word, at in places.items())))


def phrase(dialect: Dialect, wanted: Phrase) -> str:
    """`wanted` in the database's language of queries. Its words have letters and digits only: nothing to escape."""
    if dialect.name == "sqlite":
        return f'"{" ".join(wanted.words)}"' + (" *" if wanted.prefix else "")
    quoted = [f"'{word}'" for word in wanted.words]
    return " <-> ".join(quoted) + (":*" if wanted.prefix else "")


def scoped(dialect: Dialect, kinds: Sequence[str], parameter: str, *, pieces: bool = False) -> str:
    """What stands before a phrase to look for it in one parameter of some types; with `pieces` in passages of several
    only.
    """
    if dialect.name == "sqlite":
        marks = " OR ".join(f'"{scope(one, parameter)}"' for one in kinds)
        return f"({marks}) AND " + (f'"{PIECE}" AND ' if pieces else "")
    marks = " | ".join(f"'{scope(one, parameter)}'" for one in kinds)
    return f"({marks}) & " + (f"'{PIECE}' & " if pieces else "")
