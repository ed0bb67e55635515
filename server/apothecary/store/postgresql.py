"""The store for more than one machine: PostgreSQL through psycopg 3 and a pool of connections.

https://www.postgresql.org/docs/current/transaction-iso.html and https://www.psycopg.org/psycopg3/docs/
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import (
    DeadlockDetected,
    DuplicateTable,
    QueryCanceled,
    SerializationFailure,
    UniqueViolation,
)
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import BigInteger, Integer, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from apothecary.errors import BadRequest, Busy, StartError, Unreachable
from apothecary.store import schema, tables
from apothecary.store.sql import ATTEMPTS, SqlStore, too_complex, too_long
from apothecary.store.statements import Statement
from apothecary.store.write import SqlTransaction, Writes

Connection = psycopg.Connection[Any]

# How long a server may take to answer at the start, in seconds.
OPEN = 10.0

# What libpq reports when waiting does not help: a role, password, database or host name that is wrong. In another
# language than English the reason is the same, after the full wait.
FINAL = re.compile(r"password|authentication|does not exist|pg_hba\.conf|translate host name|resolve host")


def _dialect() -> Dialect:
    made: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call] # not typed by SQLAlchemy
    return made


def _configure(connection: Connection) -> None:
    # Said once, so that each transaction begins with it in one exchange. Single statements are not affected.
    connection.isolation_level = IsolationLevel.SERIALIZABLE


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

    def __init__(self, conninfo: str, *, connections: int = 4, seconds: float = 30.0, wait: float = 10.0) -> None:
        """`conninfo` is libpq's; `connections` bounds the pool, `seconds` one statement, `wait` the seconds until a
        connection is free. Raises StartError where no server answers.
        """
        self._seconds = seconds
        self.committed: Callable[[Connection], None] | None = None
        """Called after each commit, on the connection that committed."""
        options = {
            # Compiling a statement takes longer than a page of a search does, whatever the planner thinks it costs.
            "options": f"-c statement_timeout={int(seconds * 1000)} -c jit=off",
            "autocommit": True,
            "prepare_threshold": 1,
            "application_name": "apothecary",
        }
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo,
            min_size=1,
            max_size=connections,
            kwargs=options,
            configure=_configure,
            timeout=wait,
            open=False,
            name="apothecary",
        )
        # The pool would keep the reason to itself.
        await_server(conninfo)
        try:
            self._pool.open(wait=True, timeout=OPEN)
        except PoolTimeout as error:
            self._pool.close()
            raise StartError(f"no PostgreSQL server answers: {error}") from None
        super().__init__(_dialect())
        self._writes = Writes(self)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool. Raises Busy where none is free, the time is up, or the server is gone."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except psycopg.DataError as error:
            # The one character that PostgreSQL cannot take, and that no FHIR text has (an id out of a path, for one).
            if "NUL" in str(error):
                raise BadRequest("the character U+0000 is in no FHIR text", code="value") from None
            raise
        except PoolTimeout:
            raise Busy("every database connection is in use; try again", headers={"Retry-After": "1"}) from None
        except QueryCanceled:
            raise too_long(self._seconds) from None
        except psycopg.OperationalError as error:
            # Class 54: https://www.postgresql.org/docs/current/errcodes-appendix.html
            if error.sqlstate is not None and error.sqlstate.startswith("54"):
                raise too_complex() from error
            if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57P")):
                raise
            # The server restarts or is gone, and the pool's other connections went with it.
            self._pool.check()
            raise Unreachable("the database cannot be reached; try again", headers={"Retry-After": "5"}) from error

    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        try:
            return self._rows(statement, bound)
        except Unreachable:
            # After a restart of the database the first to notice finds new connections in the pool.
            return self._rows(statement, bound)

    def _rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        with self.connection() as connection:
            return connection.cursor(binary=True).execute(statement.text, bound).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Serializable: transactions that could not have run one after the other do not both commit, so two conditional
        creates of the same thing cannot both find nothing. Readers outside transactions never wait.
        """
        with self.connection() as connection:
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
        self._pool.close()


def stamp(connection: Connection) -> str | None:
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


class _Transaction(SqlTransaction):
    """An open transaction, in which many index rows are written by COPY. Measured: a load takes a quarter less time."""

    def __init__(self, store: PostgresqlStore, writes: Writes, cursor: psycopg.Cursor[Any], newest: int) -> None:
        super().__init__(store, writes, cursor, newest)
        self._copier = cursor

    def insert_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) < MANY or name not in _COPIES:
            super().insert_rows(name, rows)
            return
        text, types = _COPIES[name]
        with self._copier.copy(text) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)


def _copy(table: Table) -> tuple[str, list[str]]:
    """The COPY statement of a table, and the types of its columns: the binary form must be told."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    types = [_TYPES[type(column.type)] for column in table.columns]
    return f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)", types


_TYPES: dict[type[Any], str] = {Text: "text", Integer: "int4", SmallInteger: "int2", BigInteger: "int8"}
# Words are sent as text: nobody but the database knows the binary form of a tsvector.
_COPIES = {name: _copy(table) for name, table in tables.INDEXES.items() if name != "text"}
