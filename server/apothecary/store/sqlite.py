"""The embedded store: one SQLite file in WAL mode, one connection for each statement or transaction at a time.

https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from sqlalchemy import FromClause
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from apothecary.errors import FhirError, Unreachable
from apothecary.store import filling, schema, sqlite_alone
from apothecary.store.contract import Transaction
from apothecary.store.limited import limited, too_complex, too_long
from apothecary.store.sql import SqlStore
from apothecary.store.sqlite_connection import SqliteConnection, as_soon_as_free
from apothecary.store.sqlite_file import DatabaseFile, pragmas
from apothecary.store.sqlite_transaction import SqliteTransaction
from apothecary.store.statements import Statement
from apothecary.store.write import SqlTransaction, Writes
from apothecary.store.writers import Undone, Writers, busy

# How many steps of SQLite's machine pass between two looks at the clock: often enough for a limit of tenths of a
# second.
STEPS = 20_000
# A connection with so many characters of long statements is closed when it is not needed: it takes 5 MB for them.
LONG_KEPT = 500_000
# What SQLite says of a statement past its limits, all under the one code for errors.
_TOO_COMPLEX = (
    *("parser stack overflow", "Expression tree is too large", "too many SQL variables", "too many terms in compound"),
    *("at most 64 tables in a join", "too many columns", "LIKE or GLOB pattern too complex"),
)

T = TypeVar("T")

log = logging.getLogger("apothecary")


class _Compiler(SQLiteCompiler):
    """Writes hints, which SQLAlchemy leaves out for SQLite: https://www.sqlite.org/lang_indexedby.html"""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


class Dialect(SQLiteDialect_pysqlite):
    """SQLite with `INDEXED BY`."""

    statement_compiler = _Compiler
    supports_statement_cache = True


_DIALECT = Dialect(paramstyle="qmark")
_writes = cache(Writes)  # compiled once a process, however many stores it has


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
        self._pragmas = pragmas(durability, cache)
        self._seconds = seconds
        self._lock_seconds = lock_seconds
        self._file = DatabaseFile(path)
        self._free: list[SqliteConnection] = []
        self._closed = False
        # Looks for what all others commit, and commits nothing itself; with how many there were of it.
        self._watch: SqliteConnection | None = None
        self._watches = 0
        self._watching = threading.Lock()
        super().__init__(_DIALECT)
        self._writes = _writes(_DIALECT)
        self._writers: Writers[SqliteConnection] = Writers(self._begin, self._commit, self._written, lock_seconds)

    @contextmanager
    def _connection(self) -> Iterator[SqliteConnection]:
        """A connection for the block."""
        connection = self._take()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._translate(error) from error
        finally:
            self._give_back(connection)

    def _take(self) -> SqliteConnection:
        """The connection that was used last, whose cache is warm."""
        if self._closed:
            raise Unreachable("the database was closed")
        try:
            return self._free.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, connection: SqliteConnection) -> None:
        if connection.long <= LONG_KEPT or self._closed:
            self._free.append(connection)
            if self._closed:
                self._close_free()
            return
        # There is no other way to have it forget statements. Another one is opened before: with the last connection
        # of all goes the log.
        try:
            self._free.append(self._connect())
        except (sqlite3.Error, FhirError):
            self._free.append(connection)
            return
        connection.close()

    def _opened(self) -> SqliteConnection:
        # Once it was there, a file that is missing is not to be made anew.
        how = "rw" if self._file.known else "rwc"
        opened: SqliteConnection = sqlite3.connect(
            f"file:{quote(self.path)}?mode={how}",
            uri=True,
            timeout=self._lock_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=SqliteConnection,
        )
        return opened

    def _connect(self) -> SqliteConnection:
        try:
            connection = self._opened()
        except sqlite3.Error as error:
            raise self._translate(error) from error
        try:
            # Readers then never wait. SQLite does not wait by itself for others who switch it on.
            as_soon_as_free(connection, "PRAGMA journal_mode=WAL", self._lock_seconds)
            for pragma in self._pragmas:
                connection.execute(f"PRAGMA {pragma}")
            if not self._file.known:
                # With the first look into it its log is opened, too.
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                self._file.note()
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._translate(error) from error
            raise
        deadline = connection.deadline
        connection.set_progress_handler(lambda: 1 if deadline[0] and time.monotonic() > deadline[0] else 0, STEPS)
        return connection

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        self._file.check_sometimes(self._opened)
        # Not `with self._connection()`, which takes half as long as a small statement.
        connection = self._take()
        try:
            return self.rows_of(connection, statement, bound, most)
        except sqlite3.Error as error:
            raise self._translate(error) from error
        finally:
            self._give_back(connection)

    def rows_of(
        self, connection: SqliteConnection, statement: Statement, bound: Sequence[Any], most: int | None = None
    ) -> list[Any]:
        """The rows of a statement on a connection, within the limit of time."""
        end = connection.deadline[0] = time.monotonic() + self._seconds
        try:
            connection.keeps(statement)
            found = connection.execute(statement.text, bound)
            if most is None:
                return found.fetchall()
            try:
                # It is read as it is iterated: what comes after the last of them is never fetched.
                return limited(found, most, statement.heavy)
            finally:
                found.close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT and time.monotonic() > end:
                raise too_long(self._seconds) from error
            raise self._translate(error) from error
        finally:
            connection.deadline[0] = 0.0

    def _translate(self, error: sqlite3.Error) -> Exception:
        if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return busy()
        if any(words in str(error) for words in _TOO_COMPLEX):
            return too_complex()
        return self._file.translated(error) or error

    def changes(self) -> Hashable:
        """https://www.sqlite.org/pragma.html#pragma_data_version: its values mean something on one connection only, and
        say nothing of what that one commits.
        """
        self._file.check_sometimes(self._opened)
        with self._watching:
            if self._closed:
                raise Unreachable("the database was closed")
            if self._watch is None:
                self._watch = self._connect()
                self._watches += 1
            try:
                return self._watches, self._watch.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error as error:
                self._watch = None
                raise self._translate(error) from error

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """One writer at a time; readers go on reading the state before it."""
        with self._writing() as connection, self._transaction(connection) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, connection: SqliteConnection) -> Iterator[SqlTransaction]:
        """A transaction on a connection that writes."""
        learnt, transaction = connection.learnt, SqliteTransaction(self, self._writes, connection, self.rows_of)
        try:
            yield transaction
            transaction.flush()
        except BaseException:
            # What was learnt meanwhile goes with what was written.
            connection.undone(learnt)
            raise
        connection.newest = transaction.newest

    def _attempt(self, work: Callable[[Transaction], T], *, brief: bool) -> T:
        if not brief:
            return super()._attempt(work, brief=brief)

        def within(connection: SqliteConnection) -> T:
            with self._transaction(connection) as transaction:
                return work(transaction)

        with self._translated():
            return self._writers.together(within)

    @contextmanager
    def _writing(self) -> Iterator[SqliteConnection]:
        """A connection that writes, for the block; what was written is committed when this returns."""
        with self._translated(), self._writers.turn() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _begin(self, seconds: float) -> SqliteConnection:
        """A connection with the lock of writers, which other processes may have for `seconds`."""
        self._file.check(self._opened)
        connection = self._take()
        try:
            # Where SQLite itself waits, it looks ever more seldom, and those who came later are quicker.
            connection.execute("PRAGMA busy_timeout = 0")
            as_soon_as_free(connection, "BEGIN IMMEDIATE", seconds)
        except BaseException:
            self._written(connection)
            raise
        return connection

    def _commit(self, connection: SqliteConnection) -> None:
        connection.learn()
        connection.execute("COMMIT")
        # What went to a file without a name is not acknowledged.
        self._file.check(self._opened)

    def _written(self, connection: SqliteConnection) -> None:
        """Take back a connection on which somebody wrote."""
        connection.ended()
        try:
            # Not before: meanwhile nobody else could write.
            connection.execute(f"PRAGMA busy_timeout = {int(self._lock_seconds * 1000)}")
        finally:
            self._give_back(connection)

    @property
    def busy(self) -> bool:
        return self._writers.busy

    def ready(self, *, writes: bool) -> None:
        self._file.check(self._opened)
        super().ready(writes=writes)

    def retryable(self, error: Exception) -> bool:
        """Where the transaction of several writers was undone. Another one that began is not refused for what others
        do: writers wait for one another.
        """
        return isinstance(error, Undone)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        with self._connection() as connection:
            try:
                with sqlite_alone.alone(connection, self._pragmas, self._lock_seconds) as have:
                    # There is no log beside the file meanwhile.
                    self._file.note()
                    # For who writes: there can be no other connection.
                    self._free.append(connection)
                    try:
                        yield have
                    finally:
                        self._free.remove(connection)
            finally:
                self._file.note()

    def make_up(self) -> None:
        with self._connection() as connection:
            sqlite_alone.make_up(connection, filling.making(self.statements.dialect), self._pragmas)

    def gather_statistics(self) -> None:
        """Nothing: what is chosen by numbers is counted, and the rest is said in the statements."""

    def prepare(self, *, make: bool = True) -> None:
        with self._connection() as connection:
            if schema.is_current(stamp(connection), make=make, usable_from=partial(_usable_from, connection)):
                if connection.execute(filling.ASKED).fetchone() is not None:
                    log.warning(filling.MAKING_UP)
                    sqlite_alone.make_up(connection, filling.making(self.statements.dialect), self._pragmas)
                return
        with self._writing() as connection:
            # Another process may have made the tables while this one waited for the lock.
            if not schema.is_current(stamp(connection)):
                for one in schema.statements(self.statements.dialect):
                    connection.execute(one)

    def damage(self) -> list[str]:
        """What SQLite itself finds wrong in the file: https://www.sqlite.org/pragma.html#pragma_integrity_check"""
        with self._connection() as connection:
            return integrity(connection)

    def close(self) -> None:
        """Connections in use are closed as soon as they are given back: to close one under a thread that runs a
        statement on it ends the process.
        """
        self._closed = True
        self._close_free()
        with self._watching:
            if self._watch is not None:
                self._watch.close()
                self._watch = None

    def _close_free(self) -> None:
        while self._free:
            with suppress(IndexError):
                self._free.pop().close()


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
