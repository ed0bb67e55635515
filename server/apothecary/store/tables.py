"""The tables. The same on SQLite and PostgreSQL: no trigger, no sequence, no procedure; every key leads with type and
id.

`resource` has the current version of each resource, `superseded` every version that another one took the place of
(append-only): each text lies in the database once. One `index_*` table for each kind of search value has the rows of
current versions.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy import text as text_

from apothecary.store.fulltext import index_text

# Bytewise order on both databases: PostgreSQL's default collation would sort and compare by language.
text = Text(collation="C").with_variant(Text(), "sqlite")

metadata = MetaData()

# What the indexes of index tables leave free of each page where they are made at once, on PostgreSQL: a twentieth, and
# not a tenth. When a fiftieth of all resources changes, a page still has room for what comes to it
# (https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-STORAGE-PARAMETERS).
_PAGES = {"fillfactor": 95}

# So ends the name of the index that finds all rows of a resource in a table of the index.
OF_RESOURCE = "resource"

resource = Table(
    "resource",
    metadata,
    Column("type", text, nullable=False),
    Column("id", text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False, comment="microseconds since 1970"),
    Column("fhir_version", text, nullable=False, comment="R4, R4B or R5: the version that body is written in"),
    Column("deleted", Boolean, nullable=False),
    Column("body", LargeBinary, comment="the JSON text, UTF-8, compact; null when deleted"),
    Column("method", text, comment="the interaction that made it; null for what is contained, which has no versions"),
    PrimaryKeyConstraint("type", "id"),
    Index("resource_updated", "type", "updated", "id"),
    # Each transaction looks for the newest change, and the history of all types begins with it.
    Index("resource_written", "updated", "type", "id"),
)

# Few rows: what a count of a type takes away from its index entries, without a look at any resource.
# In the words of the statement, or SQLite does not see that the index will do.
Index("resource_deleted", resource.c.type, sqlite_where=text_("deleted = 1"), postgresql_where=resource.c.deleted)

superseded = Table(
    "superseded",
    metadata,
    Column("type", text, nullable=False),
    Column("id", text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("replaced", BigInteger, nullable=False, comment="when the next version was made"),
    Column("fhir_version", text, nullable=False),
    Column("method", text, nullable=False, comment="POST, PUT, PATCH, DELETE or LOAD: what made this version"),
    Column("body", LargeBinary),
    PrimaryKeyConstraint("type", "id", "version"),
    Index("superseded_updated", "updated", "type", "id"),
    Index("superseded_type_updated", "type", "updated", "id"),
)

state = Table(
    "state",
    metadata,
    Column("name", text, primary_key=True),
    Column("value", text, nullable=False),
    comment="what the server remembers about the database: content files, index fingerprint, page-link secret",
)


def _index_table(name: str, *columns: Column[Any], lookups: dict[str, tuple[str, ...]]) -> Table:
    """An index table: rows of a resource stand together under its key; each lookup is an index on type, parameter and
    its columns.

    SQLite has the rows in the order of the key, so that it costs nothing. PostgreSQL would have a copy of the key of
    each row: there an index finds the rows of a resource by what they have in common, which it keeps once
    (https://www.postgresql.org/docs/current/btree-implementation.html#BTREE-DEDUPLICATION).
    """
    return Table(
        f"index_{name}",
        metadata,
        Column("type", text, nullable=False),
        Column("id", text, nullable=False),
        Column("parameter", text, nullable=False),
        Column("row", Integer, nullable=False, comment="numbers the rows of one parameter of one resource"),
        *columns,
        Column("element", SmallInteger, nullable=False, comment="numbers the element inside a composite parameter"),
        PrimaryKeyConstraint("type", "id", "parameter", "row").ddl_if(dialect="sqlite"),
        Index(f"index_{name}_{OF_RESOURCE}", "type", "id", postgresql_with=_PAGES).ddl_if(dialect="postgresql"),
        *(
            Index(f"index_{name}_{key}", "type", "parameter", *fields, postgresql_with=_PAGES)
            for key, fields in lookups.items()
        ),
        sqlite_with_rowid=False,
    )


# Of a text, `folded` and `value` hold no more than what `prefix` does not: nothing, where that is all of it.
# Where a search compares the first column for equality, or is sorted by it, the id comes next: the index then gives ids
# in order, and a page is read off without sorting. The columns after the id only spare a look into the table.
index_token = _index_table(
    "token",
    Column("system", text, nullable=False),
    Column("code", text, nullable=False),
    lookups={"code": ("code", "id", "system"), "system": ("system", "id")},
)
index_string = _index_table(
    "string",
    Column("prefix", text, nullable=False),
    Column("folded", text, nullable=False),
    Column("exact", text, nullable=False),
    lookups={"prefix": ("prefix", "id")},
)
index_date = _index_table(
    "date",
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    lookups={"low": ("low", "id", "high"), "high": ("high", "id", "low")},
)
index_quantity = _index_table(
    "quantity",
    Column("system", text, nullable=False),
    Column("code", text, nullable=False),
    Column("low", text, nullable=False),
    Column("high", text, nullable=False),
    lookups={"code": ("code", "low", "high", "id", "system"), "low": ("low", "id", "high")},
)
index_reference = _index_table(
    "reference",
    Column("target_type", text, nullable=False),
    Column("target_id", text, nullable=False),
    Column("url", text, nullable=False),
    Column("version", text, nullable=False),
    lookups={"target": ("target_id", "id", "target_type"), "url": ("url", "id")},
)
index_uri = _index_table(
    "uri",
    Column("prefix", text, nullable=False),
    Column("value", text, nullable=False),
    lookups={"prefix": ("prefix", "id")},
)

# What points to a resource, whatever the type and parameter of the source: _revinclude, _has and delete ask it.
Index(
    "index_reference_source",
    index_reference.c.target_type,
    index_reference.c.target_id,
    index_reference.c.type,
    index_reference.c.parameter,
    postgresql_with=_PAGES,
)

# The words that inexact search may find, by each of their trigrams. They stay when the last text with them goes: what
# is found here is looked up in the texts.
vocabulary = Table(
    "vocabulary",
    metadata,
    Column("type", text, nullable=False),
    Column("parameter", text, nullable=False),
    Column("trigram", text, nullable=False),
    Column("word", text, nullable=False),
    Column("size", Integer, nullable=False, comment="number of the word's trigrams"),
    PrimaryKeyConstraint("type", "parameter", "trigram", "word"),
    sqlite_with_rowid=False,
)

INDEXES: dict[str, Table] = {
    "token": index_token,
    "string": index_string,
    "date": index_date,
    "quantity": index_quantity,
    "reference": index_reference,
    "uri": index_uri,
    "text": index_text,
}
