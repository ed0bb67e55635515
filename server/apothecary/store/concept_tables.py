"""The tables of large code systems: `code_system` has a row for each, `concept` and `concept_property` what it holds.

The concepts of one code system are numbered in the order of its definition, in a span of numbers that no other ever
had: `concept` is keyed by them, because they are the row numbers of SQLite's index of words as well
(https://www.sqlite.org/fts5.html), and a span of them says which code system and which state of it is meant.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import Dialect

from apothecary.store.tables import metadata, text
from apothecary.terminology.selection import Selection
from apothecary.terminology.stored import ConceptRow

code_system = Table(
    "code_system",
    metadata,
    Column("id", text, primary_key=True),
    Column("version", Integer, nullable=False, comment="the version of the resource that the rest is of"),
    Column("url", text, nullable=False, comment="shortened as an index key"),
    Column("first", BigInteger, nullable=False, comment="the number of its first concept"),
    Column("last", BigInteger, nullable=False, comment="the number of its last concept"),
    Column("digest", text, nullable=False, comment="the same where the concepts are"),
    Column("head", LargeBinary, nullable=False, comment="the resource without its concepts, as JSON"),
    Index("code_system_url", "url"),
)
concept = Table(
    "concept",
    metadata,
    # On SQLite this is the number of the row.
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("code", text, nullable=False, comment="shortened as an index key"),
    Column("parents", text, comment="a JSON list of codes"),
    Column("inactive", Boolean, nullable=False),
    Column("abstract", Boolean, nullable=False),
    Column("words", Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
    Column("element", LargeBinary, nullable=False, comment="the concept as JSON, without what is nested in it"),
    Index("concept_code", "code", "number"),
)
# The span leads, so that the rows of one code system stand together and go together.
concept_property = Table(
    "concept_property",
    metadata,
    Column("first", BigInteger, nullable=False),
    Column("property", text, nullable=False),
    Column("value", text, nullable=False, comment="shortened as an index key"),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("first", "property", "value", "number"),
    sqlite_with_rowid=False,
)
TABLES = (code_system, concept, concept_property)

# Only SQLite has it. The column of its own name stands for all of them: without places of words, no single one can be
# asked.
concept_words = Table("concept_words", MetaData(), Column("rowid", BigInteger), Column("concept_words", Text))

# Names in `concept_property` that are no properties: what a concept stands below, and its code without case. Those of
# properties have a dot before them.
PARENT, FOLDED = "parent", "folded"

# What is looked up by its words. Which of them a concept has is all that is asked. SQLite reads the concepts with a
# beginning of so many letters one after the other, as far as they are wanted; those with a longer one it first puts
# together, all of them (https://www.sqlite.org/fts5.html#prefix_indexes).
_WORDS = {
    "sqlite": """CREATE VIRTUAL TABLE concept_words USING fts5(
        words, content='concept', content_rowid='number', tokenize='ascii', detail='none', prefix='1 2 3 4 5 6 7 8')""",
    "postgresql": "CREATE INDEX concept_words ON concept USING gin (words)",
}

# SQLite: before concepts go, and after new ones came.
FORGET = """INSERT INTO concept_words (concept_words, rowid, words)
    SELECT 'delete', number, words FROM concept WHERE number BETWEEN ? AND ?"""
LEARN = "INSERT INTO concept_words (rowid, words) VALUES (?, ?)"


def statements(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make what `metadata` does not: the index of words."""
    return (_WORDS[dialect.name],)


# Stands before words of designations. Signs are written as private characters: SQLite's tokenizer would cut at them,
# and PostgreSQL's syntax means something by some.
_FURTHER = "\ue001"
_SIGNS = {number: chr(0xE100 + number) for number in range(128) if not chr(number).isalnum()}


# Words that say that a concept is not inactive, and not abstract.
_ACTIVE, _SELECTABLE = "\ue002a", "\ue002s"


def document(dialect: Dialect, one: ConceptRow) -> str:
    """Words of a concept in the form that the column `words` takes."""
    found = [word.translate(_SIGNS) for word in one.words]
    found += [_FURTHER + word.translate(_SIGNS) for word in one.further]
    found += [mark for mark, said in ((_ACTIVE, one.inactive), (_SELECTABLE, one.abstract)) if not said]
    return " ".join(found if dialect.name == "sqlite" else (f"'{word}'" for word in found))


def query(dialect: Dialect, selection: Selection) -> str:
    """A question for the words of a selection, and whether concepts are active and selectable, in the database's
    language.
    """
    marks = ("", _FURTHER) if selection.designations else ("",)
    fixed = [mark for mark, asked in ((_ACTIVE, selection.active), (_SELECTABLE, selection.selectable)) if asked]
    written = [word.translate(_SIGNS) for word in selection.words]
    if dialect.name == "sqlite":
        found = ["(" + " OR ".join(f'"{mark}{word}" *' for mark in marks) + ")" for word in written]
        return " AND ".join((*found, *(f'"{one}"' for one in fixed)))
    found = ["(" + " | ".join(f"'{mark}{word}':*" for mark in marks) + ")" for word in written]
    return " & ".join((*found, *(f"'{one}'" for one in fixed)))
