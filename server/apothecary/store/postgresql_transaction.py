"""A transaction of PostgreSQL that takes few ways to the server and back: what needs no answer is sent together with
the next question, or with the COMMIT.

https://www.postgresql.org/docs/current/libpq-pipeline-mode.html and
https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec
import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Insert,
    Integer,
    LargeBinary,
    Select,
    SmallInteger,
    Table,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
)
from sqlalchemy import column as named_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.engine import Dialect

from apothecary.store import concept_tables, poolers, reads, tables
from apothecary.store.connections import Connection
from apothecary.store.contract import Head, Stored
from apothecary.store.fragments import one_of
from apothecary.store.limited import PIECE, limited
from apothecary.store.questions import SYNC, Answer, Asked
from apothecary.store.sql import SqlStore
from apothecary.store.statements import Statement, Statements
from apothecary.store.write import Key, SqlTransaction, Writes

BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE"
# A plan that was made while a table was empty reads the whole table, and is kept when that is full
# (https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES). What a transaction asks has an index.
PLANNED = {"enable_seqscan": "off"}
# What a write may not be before. It is read inside of the transaction: one that began before an export set it, and
# would commit afterwards with an earlier time, is refused by the database and tried again (see `bulk.py`).
BARRIER = f"SELECT value FROM state WHERE name = '{reads.BARRIER}'"  # noqa: S608 (a constant)

# Fewer rows of one table are sent as arrays: a COPY has a cost of its own, and ways of its own.
MANY = 1000


def question(statement: Statement, bound: Sequence[Any], most: int | None = None) -> Asked:
    """What is asked with a statement; with `most`, for little more than so many bytes."""
    kept = statement.prepared is None
    if most is None or not statement.heavy:
        return Asked(statement.text, bound, kept)
    return Asked(statement.limited, (*bound, most), kept)


def beginning(writes: ManyWrites, limits: Mapping[str, str]) -> list[Asked]:
    """What is sent before all else of a transaction under some limits. Its last three answers are the time of the last
    write, nothing, and the barrier.
    """
    # Before the transaction and not in it: serializable transactions that read the end of this index could not run
    # beside each other. What commits between here and there is as if it came at the same time.
    newest = question(writes.newest, writes.newest.bind({}))
    return [newest, SYNC, Asked(BEGIN), Asked(f"{poolers.settings({**limits, **PLANNED})}, ({BARRIER})")]


class ManyWrites(Writes):
    """The writing statements of PostgreSQL: those of texts and numbers take any number of rows, as one list in JSON,
    which costs Python least. A text with U+0000, which JSONB cannot hold, is stored nowhere.
    """

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        get = Statements(dialect).get
        every = {**tables.INDEXES, concept_tables.concept_property.name: concept_tables.concept_property}
        self.listed = {name: get(("insert listed", name), partial(_insert, one)) for name, one in every.items()}
        self.words = get("insert listed words", partial(_insert_missing, tables.vocabulary))
        self.forget_one = get("forget one", partial(_forget, dialect, one=True))
        self.forget = get("forget", partial(_forget, dialect, one=False))
        self.current = get("current of many", partial(_current, dialect))


class HeldBack(NamedTuple):
    """Takes statements that need no answer, to be sent with the next question."""

    asked: list[Asked]

    def execute(self, text: str, bound: Sequence[Any]) -> None:
        self.asked.append(Asked(text, bound))

    def executemany(self, text: str, bound: Sequence[Sequence[Any]]) -> None:
        self.asked.extend(Asked(text, one) for one in bound)


class PostgresqlTransaction(SqlTransaction):
    """One open transaction. It begins with the first thing that is sent."""

    _writes: ManyWrites

    def __init__(self, store: SqlStore, writes: ManyWrites, connection: Connection, first: Sequence[Asked]) -> None:
        """`first` begins it: see `beginning`."""
        self._held_back = HeldBack([])
        super().__init__(store, writes, self._held_back)
        self._connection = connection
        self._first = first
        self._begun = False

    def _send(self, *some: Asked) -> list[Answer]:
        """Send what is held back, and with it `some`; what these are answered."""
        asked = [*self._held_back.asked, *some]
        self._held_back.asked.clear()
        if self._begun:
            found = self._connection.ask_all(asked) if asked else []
        else:
            self._begun = True
            found = self._connection.ask_all([*self._first, *asked])
            newest, _, limits, *found = found[-len(asked) - 3 :]
            barrier = limits.rows[0][-1]
            self.newest = max(newest.rows[0][0], int(barrier or 0))
        return found[len(found) - len(some) :]

    def commit(self) -> None:
        """Write what is held back, and commit: one way, where few rows are held."""
        self.flush()
        if self._begun or self._held_back.asked:
            self._send(Asked("COMMIT"))

    def rollback(self) -> None:
        """Undo all of it. A connection that is lost has done so."""
        with suppress(psycopg.Error):
            self._connection.roll_back()

    # -- asking

    def moment(self, current: Stored | Head | None = None) -> int:
        if not self._begun:
            self._send()
        return super().moment(current)

    def run(self, statement: Statement, **named: Any) -> Any:
        return self._send(question(statement, statement.bind(named)))[0]

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        self.flush()
        found = self._send(question(statement, bound, most))[0].rows
        return found if most is None else limited(found, most, statement.heavy)

    def all_rows(self, asked: Sequence[tuple[Statement, Sequence[Any]]]) -> list[list[Any]]:
        self.flush()
        return [answer.rows for answer in self._send(*(question(*one) for one in asked))]

    def foresee(self, keys: Iterable[Key]) -> None:
        by_type: dict[str, list[str]] = {}
        for kind, identity in keys:
            by_type.setdefault(kind, []).append(identity)
        current = self._writes.current
        asked = [
            (current, current.bind({"type": kind, "ids": self.sequence(ids), "most": PIECE}))
            for kind, ids in by_type.items()
        ]
        for (kind, ids), found in zip(by_type.items(), self.all_rows(asked), strict=True):
            # What would be too much at once is read by itself.
            whole = {row[1]: Stored(*row[:6]) for row in found if row[6]}
            there = {row[1] for row in found}
            self._seen |= {(kind, one): whole.get(one) for one in ids if one in whole or one not in there}

    # -- writing

    def insert_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) == 1:
            self._held_back.execute(self._writes.insert_rows[name].text, rows[0])
        elif name in self._writes.listed and len(rows) < MANY:
            self._held_back.execute(self._writes.listed[name].text, [_json(rows)])
        elif len(rows) < MANY or name not in _COPIES:
            self.many(self._writes.insert_rows[name].text, rows)
        else:
            # Among statements that are sent together there is no COPY.
            self._send()
            self._copy(name, rows)

    def _copy(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        text, types = _COPIES[name]
        with self._connection.cursor() as cursor, cursor.copy(text) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def insert_words(self, rows: Sequence[Sequence[Any]]) -> None:
        self._held_back.execute(self._writes.words.text, [_json(rows)])

    def _forget(self) -> None:
        by_type: dict[str, list[str]] = {}
        for kind, identity in self._stale:
            by_type.setdefault(kind, []).append(identity)
        for kind, ids in by_type.items():
            # Of a list nobody knows how long it is, and so such a statement is planned each time.
            alone = len(ids) == 1
            statement = self._writes.forget_one if alone else self._writes.forget
            self._held_back.execute(
                statement.text, statement.bind({"type": kind, "id": ids[0], "ids": self.sequence(ids)})
            )
        if self._gone:
            self.many(self._writes.delete_resource.text, list(self._gone))


def _json(rows: Sequence[Sequence[Any]]) -> str:
    return msgspec.json.encode(rows).decode()


# -- the statements


def _insert(table: Table) -> Insert:
    return insert(table).from_select([one.name for one in table.columns], _given(table))


def _insert_missing(table: Table) -> Insert:
    """Rows that are there already stay as they are."""
    made = postgresql.insert(table).from_select([one.name for one in table.columns], _given(table))
    return made.on_conflict_do_nothing()


def _given(table: Table) -> Select[Any]:
    """Rows that come as one list, each a list of what its columns have, in their order.
    https://www.postgresql.org/docs/current/functions-json.html
    """
    every = cast(bindparam("rows", type_=Text()), JSONB())
    given = func.jsonb_array_elements(every).table_valued(named_column("value", JSONB())).render_derived()
    texts = (given.c.value.op("->>")(literal_column(str(number))) for number in range(len(table.columns)))
    return select(*(cast(text, _stored(one)) for one, text in zip(table.columns, texts, strict=True)))


def _stored(one: Column[Any]) -> Any:
    # Nobody but the database knows the binary form of its words.
    return TSVECTOR() if one.name == "words" else one.type


def _forget(dialect: Dialect, *, one: bool) -> Select[Any]:
    """Deletes the index rows of a resource, or of several of one type, from all tables."""
    kind, identity = bindparam("type", type_=Text()), bindparam("id", type_=Text())
    parts = [
        delete(table)
        .where(table.c.type == kind, table.c.id == identity if one else one_of(dialect, table.c.id, "ids"))
        .cte(f"of_{name}")
        for name, table in tables.INDEXES.items()
    ]
    return select(literal(1)).add_cte(*parts)


def _current(dialect: Dialect) -> Select[Any]:
    """The current versions of some resources of a type, deletions included, and whether all up to this one have no more
    than so many bytes: those behind come without their bodies.
    """
    row = tables.resource.c
    upto = func.sum(func.coalesce(func.octet_length(row.body), 0)).over(order_by=row.id)
    fits = (upto <= bindparam("most", type_=BigInteger())).label("fits")
    found = select(row.type, row.id, row.version, row.updated, row.fhir_version, row.body, fits)
    inner = found.where(row.type == bindparam("type", type_=Text()), one_of(dialect, row.id, "ids")).subquery().c
    body = case((inner.fits, inner.body))
    return select(inner.type, inner.id, inner.version, inner.updated, inner.fhir_version, body, inner.fits)


def _copy(table: Table) -> tuple[str, list[str]]:
    """The COPY statement of a table, and the types of its columns: the binary form must be told. Words are sent as
    text: nobody but the database knows the binary form of a tsvector.
    """
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    if "words" in table.columns:
        return f"COPY {table.name} ({names}) FROM STDIN", []
    types = [_TYPES[type(column.type)] for column in table.columns]
    return f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)", types


_TYPES: dict[type[Any], str] = {
    **{Text: "text", Integer: "int4", SmallInteger: "int2", BigInteger: "int8"},
    **{Boolean: "bool", LargeBinary: "bytea"},
}
_COPIES = {name: _copy(table) for name, table in tables.INDEXES.items()}
_OTHERS = tables.resource, concept_tables.concept, concept_tables.concept_property
_COPIES |= {table.name: _copy(table) for table in _OTHERS}
