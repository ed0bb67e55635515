"""The embedded store: one SQLite file in WAL mode, one connection for each thread.

https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from sqlalchemy import FromClause
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from apothecary.errors import Busy
from apothecary.store import schema
from apothecary.store.sql import SqlStore, too_complex, too_long
from apothecary.store.statements import Statement
from apothecary.store.write import SqlTransaction, Writes

# How many steps of SQLite's machine pass between two looks at the clock: often enough for a limit of tenths of a
# second.
STEPS = 20_000
# What SQLite says of a statement past its limits, all under the one code for errors.
_TOO_COMPLEX = (
    *("parser stack overflow", "Expression tree is too large", "too many SQL variables", "too many terms in compound"),
    *("at most 64 tables in a join", "too many columns", "LIKE or GLOB pattern too complex"),
)


class _Compiler(SQLiteCompiler):
    """Writes hints, which SQLAlchemy leaves out for SQLite: https://www.sqlite.org/lang_indexedby.html"""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


class Dialect(SQLiteDialect_pysqlite):
    """SQLite with `INDEXED BY`."""

    statement_compiler = _Compiler
    supports_statement_cache = True


class SqliteStore(SqlStore):
    """A store in one file."""

    def __init__(
        self,
        path: str,
        *,
        durability: Literal["full", "normal"] = "full",
        seconds: float = 30.0,
        lock_seconds: float = 15.0,
        cache: int = 256,
    ) -> None:
        """`seconds` bounds one statement, `lock_seconds` the wait for another writer; `cache` is in megabytes for each
        connection, which takes as much of it as the database is large.
        """
        self.path = path
        self._durability = durability
        self._seconds = seconds
        self._lock_seconds = lock_seconds
        self._cache = cache
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        super().__init__(Dialect(paramstyle="qmark"))
        self._writes = Writes(self)

    def _connection(self) -> sqlite3.Connection:
        try:
            connection: sqlite3.Connection = self._local.connection
        except AttributeError:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._lock_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        _use_wal(connection, self._lock_seconds)
        # No mmap_size: where another process cuts the file short, a mapped page is a SIGBUS and not an error; and what
        # is not in memory yet is read ahead in megabytes, for lookups that need one page of each place.
        for pragma in (
            f"synchronous={'FULL' if self._durability == 'full' else 'NORMAL'}",
            f"cache_size={-1024 * self._cache}",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        deadline = [0.0]
        connection.set_progress_handler(lambda: 1 if deadline[0] and time.monotonic() > deadline[0] else 0, STEPS)
        self._local.deadline = deadline
        with self._lock:
            self._open.append(connection)
        return connection

    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        connection = self._connection()
        self._local.deadline[0] = time.monotonic() + self._seconds
        try:
            return connection.execute(statement.text, bound).fetchall()
        except sqlite3.OperationalError as error:
            raise self._translate(error) from error
        finally:
            self._local.deadline[0] = 0.0

    def _translate(self, error: sqlite3.OperationalError) -> Exception:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT and time.monotonic() > self._local.deadline[0]:
            return too_long(self._seconds)
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Busy("the database is busy with other writes; try again", headers={"Retry-After": "1"})
        if any(words in str(error) for words in _TOO_COMPLEX):
            return too_complex()
        return error

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """One writer at a time; readers go on reading the state before it."""
        connection = self._connection()
        with self._begun(connection):
            transaction = _Transaction(self, self._writes, connection)
            yield transaction
            transaction.flush()

    @contextmanager
    def _begun(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Waits for the lock of writers; commits at the end, or undoes all of it."""
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise self._translate(error) from error
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def retryable(self, error: Exception) -> bool:
        """Never: writers wait for one another, and a transaction that began will not be refused for what others do."""
        return False

    def prepare(self, *, make: bool = True) -> None:
        connection = self._connection()
        if schema.is_current(stamp(connection), make=make, usable_from=partial(_usable_from, connection)):
            return
        with self._begun(connection):
            # Another process may have made the tables while this one waited for the lock.
            if not schema.is_current(stamp(connection)):
                for one in schema.statements(self.statements.dialect):
                    connection.execute(one)

    def damage(self) -> list[str]:
        """What SQLite itself finds wrong in the file: https://www.sqlite.org/pragma.html#pragma_integrity_check"""
        return integrity(self._connection())

    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()


class _Transaction(SqlTransaction):
    """An open transaction, whose reads are bounded in time like all others."""

    def __init__(self, store: SqliteStore, writes: Writes, connection: sqlite3.Connection) -> None:
        super().__init__(store, writes, connection)
        self._store = store

    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        self.flush()
        # The store's connection of this thread is the one that the transaction runs on.
        return self._store.rows(statement, bound)


def stamp(connection: sqlite3.Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if schema.STAMP not in names:
        return schema.UNSTAMPED if names & {"resource", "state"} else None
    found = connection.execute(f"SELECT version_num FROM {schema.STAMP}").fetchone()  # noqa: S608 (a constant)
    return str(found[0]) if found else schema.UNSTAMPED


def _usable_from(connection: sqlite3.Connection) -> str | None:
    """The oldest revision whose code can use the tables; None where the database does not say."""
    found = connection.execute(schema.USABLE_QUESTION).fetchone() if stamp(connection) else None
    return str(found[0]) if found else None


def integrity(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong in the file of a connection; nothing where it is sound."""
    try:
        found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def _use_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Write-ahead logging, so that readers never wait. SQLite does not wait by itself for others who switch it on."""
    end = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)
