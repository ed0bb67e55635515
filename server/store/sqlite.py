"""The embedded store: one SQLite file in WAL mode, one connection for each thread.

https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from server.errors import Busy
from server.store import schema
from server.store.sql import SqlStore
from server.store.statements import Statement
from server.store.write import SqlTransaction, Writes

# How many steps of SQLite's machine pass between two looks at the clock: often enough for a limit of tenths of a
# second.
STEPS = 20_000


class SqliteStore(SqlStore):
    """A store in one file."""

    def __init__(
        self,
        path: str,
        *,
        durability: Literal["full", "normal"] = "full",
        seconds: float = 30.0,
        lock_seconds: float = 15.0,
    ) -> None:
        """`seconds` bounds one statement, `lock_seconds` the wait for another writer."""
        self.path = path
        self._durability = durability
        self._seconds = seconds
        self._lock_seconds = lock_seconds
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        super().__init__(sqlite_dialect(paramstyle="qmark"))
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
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if self._durability == 'full' else 'NORMAL'}",
            "cache_size=-65536",
            "mmap_size=1073741824",
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
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return Busy(
                f"the search ran longer than the limit of {self._seconds:g} seconds; ask for less", code="timeout"
            )
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Busy("the database is busy with other writes; try again", headers={"Retry-After": "1"})
        return error

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """One writer at a time; readers go on reading the state before it."""
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise self._translate(error) from error
        try:
            transaction = SqlTransaction(self.statements, self._writes, connection)
            yield transaction
            transaction.flush()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def retryable(self, error: Exception) -> bool:
        """Never: writers wait for one another, and a transaction that began will not be refused for what others do."""
        return False

    def prepare(self) -> None:
        known = (
            self._connection().execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'state'").fetchone()
        )
        schema.prepare(self.state("schema") or "unknown" if known else None, self.statements.dialect, self._script)

    def _script(self, statements: Sequence[str]) -> None:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for one in statements:
                connection.execute(one)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()
