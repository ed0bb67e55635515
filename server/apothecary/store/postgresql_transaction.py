"""A transaction of PostgreSQL that takes few ways to the server and back: what needs no answer is sent together with
the next question, or with the COMMIT.

https://www.postgresql.org/docs/current/libpq-pipeline-mode.html and
https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Insert,
    Integer,
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
    select,
)
from sqlalchemy import column as named_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import Dialect

from apothecary.store import concept_tables, tables
from apothecary.store.connections import Connection
from apothecary.store.contract import Stored
from apothecary.store.fragments import one_of
from apothecary.store.limited import PIECE, STEP, limited
from apothecary.store.sql import SqlStore
from apothecary.store.statements import Statement
from apothecary.store.write import Key, SqlTransaction, Writes

BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE"
# A plan that was made while a table was empty reads the whole table, and is kept when that is full
# (https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES). What a transaction asks has an index.
PLANNED = {"enable_seqscan": "off"}

# Fewer rows of one table are sent as arrays: a COPY has a cost of its own, and ways of its own.
MANY = 1000

# psycopg says so of each statement behind one that failed, whose own error is raised.
logging.getLogger("psycopg").addFilter(lambda record: "pipeline aborted" not in record.getMessage())


class ManyWrites(Writes):
    """The writing statements of PostgreSQL: each takes any number of rows, as one array for each column."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store)
        get, dialect = store.statements.get, store.statements.dialect
        every = {**tables.INDEXES, **{one.name: one for one in concept_tables.TABLES}}
        self.arrays = {name: get(("insert arrays", name), partial(_insert, table)) for name, table in every.items()}
        self.arrays |= {
            one.name: get(("insert arrays", one.name), partial(_insert, one))
            for one in (tables.resource, tables.version)
        }
        self.words = get("insert arrays of words", partial(_insert_missing, tables.vocabulary))
        self.forget_one = get("forget one", partial(_forget, dialect, one=True))
        self.forget = get("forget", partial(_forget, dialect, one=False))
        self.current = get("current of many", partial(_current, dialect))


class PostgresqlTransaction(SqlTransaction):
    """One open transaction. It begins with the first thing that is sent."""

    _writes: ManyWrites

    def __init__(self, store: SqlStore, writes: ManyWrites, connection: Connection, newest: int, limits: str) -> None:
        """`newest` is the time of the last write in the database; `limits` a statement that sets what holds for the
        whole transaction.
        """
        self._writer = connection.cursor(binary=True)
        super().__init__(store, writes, self._writer, newest)
        self._connection = connection
        self._limits = limits
        self._begun = False
        self._copies: list[tuple[str, Sequence[Sequence[Any]]]] = []

    @contextmanager
    def _together(self) -> Iterator[None]:
        """What is sent inside takes one way to the server and back."""
        with self._connection.pipeline():
            if not self._begun:
                self._begun = True
                self._writer.execute(BEGIN)
                self._writer.execute(self._limits)
            yield

    def commit(self) -> None:
        """Write what is held back, and commit: one way, where few rows are held."""
        if self._copied:
            self.flush()
        if not (self._begun or self.holding):
            return
        with self._together():
            super().flush()
            self._writer.execute("COMMIT")

    def rollback(self) -> None:
        """Undo all of it. A connection that is lost has done so."""
        with suppress(psycopg.Error):
            self._connection.rollback()

    # -- asking

    def run(self, statement: Statement, **named: Any) -> Any:
        with self._together():
            self._writer.execute(statement.text, statement.bind(named))
        return self._writer

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        if most is None:
            return self.all_rows([(statement, bound)])[0]
        self.flush()
        if not self._begun:
            with self._together():
                pass
        # To cancel a statement would end the transaction: here the database keeps what was not asked for.
        with self._connection.cursor("rows", binary=True) as cursor:
            cursor.itersize = STEP
            return limited(cursor.execute(statement.text, bound), most)

    def all_rows(self, asked: Sequence[tuple[Statement, Sequence[Any]]]) -> list[list[Any]]:
        if self._copied:
            self.flush()
        cursors = [self._connection.cursor(binary=True) for _ in asked]
        with self._together():
            super().flush()
            for cursor, (statement, bound) in zip(cursors, asked, strict=True):
                cursor.execute(statement.text, bound, prepare=statement.prepared)
        return [cursor.fetchall() for cursor in cursors]

    def foresee(self, keys: Iterable[Key]) -> None:
        by_type: dict[str, list[str]] = {}
        for kind, identity in keys:
            by_type.setdefault(kind, []).append(identity)
        current = self._writes.current
        asked = [(current, current.bind({"type": kind, "ids": ids, "most": PIECE})) for kind, ids in by_type.items()]
        for (kind, ids), found in zip(by_type.items(), self.all_rows(asked), strict=True):
            # What would be too much at once is read by itself.
            whole = {row[1]: Stored(*row[:6]) for row in found if row[6]}
            there = {row[1] for row in found}
            self._seen |= {(kind, one): whole.get(one) for one in ids if one in whole or one not in there}

    def _current(self, stored: Stored, method: str) -> Stored | None:
        # An id that the server made is nobody else's.
        return None if method == "POST" and stored.version == 1 else super()._current(stored, method)

    # -- writing

    @property
    def _copied(self) -> bool:
        """Whether so many rows are held back that they are copied."""
        return any(len(rows) >= MANY for name, rows in self._pending.items() if name in _COPIES)

    def flush(self) -> None:
        if not self.holding:
            return
        with self._together():
            super().flush()
        copies, self._copies = self._copies, []
        for name, rows in copies:
            self._copy(name, rows)

    def insert_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) < MANY or name not in _COPIES:
            if rows:
                self._writer.execute(self._writes.arrays[name].text, _columns(rows))
        elif self._connection.info.pipeline_status == PipelineStatus.OFF:
            self._copy(name, rows)
        else:
            # Among statements that are sent together there is no COPY.
            self._copies.append((name, list(rows)))

    def _copy(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        text, types = _COPIES[name]
        with self._writer.copy(text) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def insert_words(self, rows: Sequence[Sequence[Any]]) -> None:
        self._writer.execute(self._writes.words.text, _columns(rows))

    def _forget(self) -> None:
        by_type: dict[str, list[str]] = {}
        for kind, identity in self._stale:
            by_type.setdefault(kind, []).append(identity)
        for kind, ids in by_type.items():
            # Of a list nobody knows how long it is, and so such a statement is planned each time.
            alone = len(ids) == 1
            statement = self._writes.forget_one if alone else self._writes.forget
            self._writer.execute(statement.text, statement.bind({"type": kind, "id": ids[0], "ids": ids}))
        if self._gone:
            self._writer.executemany(self._writes.delete_resource.text, list(self._gone))


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(one) for one in zip(*rows, strict=True)]


# -- the statements


def _insert(table: Table) -> Insert:
    return insert(table).from_select([one.name for one in table.columns], _given(table))


def _insert_missing(table: Table) -> Insert:
    """Rows that are there already stay as they are."""
    made = postgresql.insert(table).from_select([one.name for one in table.columns], _given(table))
    return made.on_conflict_do_nothing()


def _given(table: Table) -> Select[Any]:
    """Rows that come as one array for each column."""
    bound = [bindparam(one.name, type_=ARRAY(_sent(one))) for one in table.columns]
    given = func.unnest(*bound).table_valued(*(named_column(one.name, _sent(one)) for one in table.columns))
    given = given.render_derived()
    return select(*(_stored(one, given.c[one.name]) for one in table.columns))


def _sent(one: Column[Any]) -> Any:
    # Nobody but the database knows the binary form of its words.
    return Text() if _is_words(one) else one.type


def _stored(one: Column[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(value, TSVECTOR()) if _is_words(one) else value


def _is_words(one: Column[Any]) -> bool:
    return one.name == "words"


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


_TYPES: dict[type[Any], str] = {Text: "text", Integer: "int4", SmallInteger: "int2", BigInteger: "int8"}
_COPIES = {name: _copy(table) for name, table in tables.INDEXES.items() if name != "text"}
_COPIES |= {table.name: _copy(table) for table in (concept_tables.concept, concept_tables.concept_property)}
