"""The store for more than one machine: PostgreSQL through psycopg 3 and a pool of connections.

https://www.postgresql.org/docs/current/transaction-iso.html and https://www.psycopg.org/psycopg3/docs/
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import (
    DeadlockDetected,
    DiskFull,
    DuplicateTable,
    QueryCanceled,
    ReadOnlySqlTransaction,
    SerializationFailure,
    UniqueViolation,
)
from sqlalchemy import BigInteger, Integer, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from apothecary.errors import BadRequest, InsufficientStorage, StartError, Unreachable
from apothecary.store import schema, tables
from apothecary.store.concept_tables import concept, concept_property
from apothecary.store.connections import OPEN, Connection, Connections
from apothecary.store.faults import one_line
from apothecary.store.limited import STEP, limited
from apothecary.store.sql import ATTEMPTS, SqlStore, too_complex, too_long
from apothecary.store.statements import Statement
from apothecary.store.write import SqlTransaction, Writes
from apothecary.store.writers import Line

# What libpq reports when waiting does not help: a role, password, database or host name that is wrong. In another
# language than English the reason is the same, after the full wait.
FINAL = re.compile(r"password|authentication|does not exist|pg_hba\.conf|translate host name|resolve host")


# Classes of SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): the server lacks something, a
# disk fails, the data is damaged.
_TROUBLE = ("53", "58", "XX001", "XX002")
# It ends the connection, or is about to.
_LOST = ("08", "57P")


NO_WRITES = "the database takes no writes; try again"
# Two equal snapshots see the same transactions, and later ones never fewer. Another server counts them anew.
_CHANGES = Statement("SELECT pg_current_snapshot()::text, pg_postmaster_start_time()::text", (), {})
# Of engines that speak its language none is known to keep that promise over all of its nodes.
_KIND = Statement("SELECT version()", (), {})
GENUINE = re.compile(r"PostgreSQL [\w.]+( \((?!Greenplum)[^()]*\))? on ")
_ONLY_READ = Statement("SELECT current_setting('transaction_read_only')", (), {})

log = logging.getLogger("apothecary")


def _dialect() -> Dialect:
    made: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call] # not typed by SQLAlchemy
    return made


def await_server(conninfo: str, *, seconds: float = OPEN) -> None:
    """Return as soon as the server takes a connection. One that cannot be reached yet, or is just starting, is asked
    again for `seconds`.

    Raises psycopg.Error with the reason of the last try.
    """
    end = time.monotonic() + seconds
    given = conninfo_to_dict(conninfo)
    wanted = make_conninfo(conninfo, connect_timeout=given.get("connect_timeout") or max(2, int(seconds)))
    while True:
        try:
            psycopg.connect(wanted, autocommit=True).close()
            return
        except psycopg.OperationalError as error:
            # A server that gives these answers will give them again.
            if FINAL.search(str(error)) or time.monotonic() > end:
                raise
        time.sleep(0.2)


class PostgresqlStore(SqlStore):
    """A store in a PostgreSQL database."""

    def __init__(
        self, conninfo: str, *, connections: int = 4, writers: int = 2, seconds: float = 30.0, wait: float = 5.0
    ) -> None:
        """`conninfo` is libpq's; `connections` bounds the pool, `writers` how many of them may write at a time,
        `seconds` one statement, `wait` the seconds until the server answers at all, or a connection is free. Raises
        StartError where no server answers.
        """
        self._seconds = seconds
        self._line = Line(writers)
        self._genuine: bool | None = None
        self.committed: Callable[[Connection], None] | None = None
        """Called after each commit, on the connection that committed."""
        # The pool would keep the reason to itself.
        await_server(conninfo)
        self._connections = Connections(conninfo, most=connections, statement=seconds, seconds=wait)
        super().__init__(_dialect())
        self._writes = Writes(self)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool. Raises Busy where none is free or the time is up, Unreachable where the server is
        gone or takes no writes, InsufficientStorage where its disk is full.
        """
        try:
            with self._connections.lend() as connection:
                yield connection
        except psycopg.DataError as error:
            # The one character that PostgreSQL cannot take, and that no FHIR text has (an id out of a path, for one).
            if "NUL" in str(error):
                raise BadRequest("the character U+0000 is in no FHIR text", code="value") from None
            raise
        except QueryCanceled:
            raise too_long(self._seconds) from None
        except DiskFull as error:
            raise InsufficientStorage("the disk of the database is full") from error
        except ReadOnlySqlTransaction as error:
            # It was made a standby, or somebody keeps it from writing. An address of several servers finds the new one.
            self._connections.doubt()
            raise Unreachable(NO_WRITES, headers={"Retry-After": "5"}) from error
        except psycopg.Error as error:
            state = error.sqlstate or ""
            # https://www.postgresql.org/docs/current/errcodes-appendix.html
            if state.startswith("54"):
                raise too_complex() from error
            if state.startswith(_TROUBLE):
                log.error("the database is in trouble: %s", one_line(str(error)))
                raise Unreachable("the database is in trouble; try again", headers={"Retry-After": "5"}) from error
            if not isinstance(error, psycopg.OperationalError) or not (state == "" or state.startswith(_LOST)):
                raise
            # The server restarts or is gone, and the pool's other connections went with it.
            self._connections.doubt()
            raise self._connections.unreachable() from error

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        try:
            return self._rows(statement, bound, most)
        except Unreachable:
            if not self._connections.back():
                raise self._connections.unreachable() from None
            # After a restart of the database the first to notice finds new connections in the pool.
            return self._rows(statement, bound, most)

    def _rows(self, statement: Statement, bound: Sequence[Any], most: int | None) -> list[Any]:
        with self.connection() as connection:
            cursor = connection.cursor(binary=True)
            if most is None:
                return cursor.execute(statement.text, bound, prepare=_prepared(statement)).fetchall()
            # Who stops before the end has the database cancel the rest.
            found = cursor.stream(statement.text, bound, size=_STEP)
            try:
                return limited(found, most)
            finally:
                cast("Generator[Any]", found).close()

    def changes(self) -> Hashable | None:
        """https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT"""
        if self._genuine is None:
            self._genuine = GENUINE.match(self.rows(_KIND, ())[0][0]) is not None
        return self.since_opened(_CHANGES) if self._genuine else None

    def since_opened(self, statement: Statement) -> tuple[Any, ...] | None:
        """What a statement tells of the server's state, to be compared with what it told before. A server that crashed,
        or stood in for another, may count anew: its connections are new ones, too. None where one opened meanwhile.
        """
        opened = self._connections.opened
        found = self.rows(statement, ())
        return (opened, *found[0]) if opened == self._connections.opened else None

    @contextmanager
    def transaction(self, *, brief: bool = False) -> Iterator[SqlTransaction]:
        """Serializable: transactions that could not have run one after the other do not both commit, so two conditional
        creates of the same thing cannot both find nothing. Readers outside transactions never wait. Each commits by
        itself, `brief` or not: one that collides with another would undo those of its group.
        """
        with self._line.turn(self._seconds), self.connection() as connection:
            # Before the transaction and not in it: serializable transactions that read the end of this index could not
            # run beside each other. What commits between here and there is as if it came at the same time.
            statement = self._writes.newest
            ((newest,),) = connection.cursor(binary=True).execute(statement.text, statement.bind({})).fetchall()
            with connection.transaction():
                cursor = connection.cursor(binary=True)
                transaction = _Transaction(self, self._writes, cursor, newest)
                yield transaction
                transaction.flush()
            if self.committed is not None:
                self.committed(connection)

    @property
    def busy(self) -> bool:
        return self._line.full

    def ready(self, *, writes: bool) -> None:
        super().ready(writes=writes)
        if writes and self.rows(_ONLY_READ, ()) == [("on",)]:
            raise Unreachable(NO_WRITES, headers={"Retry-After": "5"})

    def retryable(self, error: Exception) -> bool:
        """Serialization failures and deadlocks, and a key that another transaction took first."""
        return isinstance(error, SerializationFailure | DeadlockDetected | UniqueViolation)

    def prepare(self, *, make: bool = True) -> None:
        for _ in range(ATTEMPTS):
            with self.connection() as connection:
                if schema.is_current(stamp(connection), make=make, usable_from=partial(_usable_from, connection)):
                    return
                try:
                    with connection.transaction():
                        for one in schema.statements(self.statements.dialect):
                            connection.execute(one)
                except (DuplicateTable, UniqueViolation, SerializationFailure, DeadlockDetected):
                    # Another server is making the tables, too; when it is done, they are there.
                    continue
                return
        raise StartError("other servers make the tables of this database at the same time; start again")

    def close(self) -> None:
        self._connections.close()


def stamp(connection: psycopg.Connection[Any]) -> str | None:
    """The revision of the tables; None where there are none."""
    exists = "SELECT to_regclass(%s) IS NOT NULL, to_regclass('resource') IS NOT NULL"
    stamped, ours = connection.execute(exists, [schema.STAMP]).fetchone() or (False, False)
    if not stamped:
        return schema.UNSTAMPED if ours else None
    found = connection.execute(f"SELECT version_num FROM {schema.STAMP}").fetchone()  # noqa: S608 (a constant)
    return str(found[0]) if found else schema.UNSTAMPED


def _usable_from(connection: Connection) -> str | None:
    """The oldest revision whose code can use the tables; None where the database does not say."""
    found = connection.execute(schema.USABLE_QUESTION).fetchone() if stamp(connection) else None
    return str(found[0]) if found else None


# Fewer rows are inserted: a COPY has a cost of its own.
MANY = 50


# https://www.psycopg.org/psycopg3/docs/api/objects.html#psycopg.Capabilities.has_stream_chunked
_STEP = STEP if psycopg.capabilities.has_stream_chunked() else 1


class _Transaction(SqlTransaction):
    """An open transaction, in which many index rows are written by COPY. Measured: a load takes a quarter less time."""

    def __init__(self, store: PostgresqlStore, writes: Writes, cursor: psycopg.Cursor[Any], newest: int) -> None:
        super().__init__(store, writes, cursor, newest)
        self._copier = cursor

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        self.flush()
        if most is None:
            return self._copier.execute(statement.text, bound, prepare=_prepared(statement)).fetchall()
        # To cancel a statement would end the transaction: here the database keeps what was not asked for.
        with self._copier.connection.cursor("rows", binary=True) as cursor:
            cursor.itersize = STEP
            return limited(cursor.execute(statement.text, bound), most)

    def insert_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) < MANY or name not in _COPIES:
            super().insert_rows(name, rows)
            return
        text, types = _COPIES[name]
        with self._copier.copy(text) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)


def _prepared(statement: Statement) -> bool | None:
    """Whether the database keeps a statement: None for as psycopg decides.

    What asks for words is planned for the words: a plan for any (https://www.postgresql.org/docs/current/sql-prepare.html)
    takes them for common, and walks along 400,000 rows for the three that have a rare one.
    """
    return False if statement.is_long or " @@ " in statement.text else None


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
_COPIES |= {table.name: _copy(table) for table in (concept, concept_property)}
