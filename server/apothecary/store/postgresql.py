"""The store for more than one machine: PostgreSQL through psycopg 3 and a pool of connections.

https://www.postgresql.org/docs/current/transaction-iso.html and https://www.psycopg.org/psycopg3/docs/
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import (
    DeadlockDetected,
    DiskFull,
    DuplicateTable,
    QueryCanceled,
    ReadOnlySqlTransaction,
    SerializationFailure,
    UniqueViolation,
    UntranslatableCharacter,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from apothecary.errors import BadRequest, InsufficientStorage, StartError, Unreachable
from apothecary.store import filling, poolers, postgresql_alone, schema
from apothecary.store.connections import OPEN, Connection, Connections
from apothecary.store.faults import one_line
from apothecary.store.limited import limited, too_complex, too_long
from apothecary.store.postgresql_transaction import ManyWrites, PostgresqlTransaction, beginning, question
from apothecary.store.questions import Asked
from apothecary.store.sql import ATTEMPTS, SqlStore
from apothecary.store.statements import Statement
from apothecary.store.write import SqlTransaction
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
# Tables of ours that the planner knows nothing of, or knows as a tenth of what they are.
_UNKNOWN = """SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (SELECT to_regclass(name) FROM unnest(%s::text[]) AS given (name)) AND pg_relation_size(c.oid) > 0
        AND (NOT EXISTS (SELECT 1 FROM pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
            OR pg_relation_size(c.oid) / current_setting('block_size')::int > 10 * greatest(c.relpages, 10))"""
_ONLY_READ = Statement("SELECT current_setting('transaction_read_only')", (), {})

# Compiled once a process: that takes longer than to connect, and who has a standby has two stores.
_writes = cache(ManyWrites)

log = logging.getLogger("apothecary")


@cache
def _dialect() -> Dialect:
    made: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call] # not typed by SQLAlchemy
    return made


def await_server(conninfo: str, *, seconds: float = OPEN) -> bool:
    """Return as soon as the server takes a connection: whether a pooler gives it. One that cannot be reached yet, or is
    just starting, is asked again for `seconds`.

    Raises psycopg.Error with the reason of the last try.
    """
    end = time.monotonic() + seconds
    given = conninfo_to_dict(conninfo)
    wanted = make_conninfo(conninfo, connect_timeout=given.get("connect_timeout") or max(2, int(seconds)))
    while True:
        try:
            with closing(psycopg.connect(wanted, autocommit=True)) as connection:
                return poolers.is_pooled(connection)
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
        self._conninfo = conninfo
        self._line = Line(writers)
        self._genuine: bool | None = None
        self.committed: Callable[[Connection], None] | None = None
        """Called after each commit, on the connection that committed."""
        # The pool would keep the reason to itself.
        pooled = await_server(conninfo)
        self._connections = Connections(conninfo, most=connections, statement=seconds, seconds=wait, pooled=pooled)
        if pooled:
            log.info("a pooler stands before the database: no statement is prepared, and no answer is kept")
        # Otherwise they are set for the connection.
        limits = {"statement_timeout": str(int(seconds * 1000)), "jit": "off"} if pooled else {}
        self._limits = [Asked(poolers.settings(limits))] if pooled else []
        super().__init__(_dialect())
        self._writes = _writes(_dialect())
        self._beginning = [*self._limits, *beginning(self._writes, limits)]

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool. Raises Busy where none is free or the time is up, Unreachable where the server is
        gone or takes no writes, InsufficientStorage where its disk is full.
        """
        connection = self._connections.take()
        try:
            yield connection
        except psycopg.Error as error:
            self._explain(error)
            raise
        finally:
            self._connections.give_back(connection)

    def _explain(self, error: psycopg.Error) -> None:
        """Raises what a fault of the database means to a client, where it means anything but a defect."""
        if isinstance(error, psycopg.DataError):
            # The one character that PostgreSQL cannot take, and that no FHIR text has (an id out of a path, for one).
            if "NUL" in str(error) or isinstance(error, UntranslatableCharacter):
                raise BadRequest("the character U+0000 is in no FHIR text", code="value") from None
            return
        if isinstance(error, QueryCanceled):
            raise too_long(self._seconds) from None
        if isinstance(error, DiskFull):
            raise InsufficientStorage("the disk of the database is full") from error
        if isinstance(error, ReadOnlySqlTransaction):
            # It was made a standby, or somebody keeps it from writing. An address of several servers finds the new one.
            self._connections.doubt()
            raise Unreachable(NO_WRITES, headers={"Retry-After": "5"}) from error
        state = error.sqlstate or ""
        # https://www.postgresql.org/docs/current/errcodes-appendix.html
        if state.startswith("54"):
            raise too_complex() from error
        if state.startswith(_TROUBLE):
            log.error("the database is in trouble: %s", one_line(str(error)))
            raise Unreachable("the database is in trouble; try again", headers={"Retry-After": "5"}) from error
        if isinstance(error, psycopg.OperationalError) and (state == "" or state.startswith(_LOST)):
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
        connection = self._connections.take()
        try:
            asked = question(statement, bound, most)
            found = connection.ask_all([*self._limits, asked])[-1].rows if self._limits else connection.ask(asked)
            return found if most is None else limited(found, most, statement.heavy)
        except psycopg.Error as error:
            self._explain(error)
            raise
        finally:
            self._connections.give_back(connection)

    def changes(self) -> Hashable | None:
        """https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT"""
        if self._genuine is None:
            self._genuine = GENUINE.match(self.rows(_KIND, ())[0][0]) is not None
        return self.since_opened(_CHANGES) if self._genuine else None

    def since_opened(self, statement: Statement) -> tuple[Any, ...] | None:
        """What a statement tells of the server's state, to be compared with what it told before. A server that crashed,
        or stood in for another, may count anew: its connections are new ones, too. None where one opened meanwhile, and
        behind a pooler, which hides them.
        """
        if self._connections.pooled:
            return None
        opened = self._connections.opened
        found = self.rows(statement, ())
        return (opened, *found[0]) if opened == self._connections.opened else None

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Serializable: transactions that could not have run one after the other do not both commit, so two conditional
        creates of the same thing cannot both find nothing. Readers outside transactions never wait. Each commits by
        itself: one that collides with another would undo those of its group.
        """
        with self._line.turn(self._seconds), self.connection() as connection:
            transaction = PostgresqlTransaction(self, self._writes, connection, self._beginning)
            try:
                yield transaction
                transaction.commit()
            except BaseException:
                transaction.rollback()
                raise
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

    @contextmanager
    def alone(self) -> Iterator[bool]:
        if self._connections.pooled:
            # Who is connected, nobody can say.
            yield False
            return
        with postgresql_alone.alone(self._conninfo) as have:
            yield have

    def make_up(self) -> None:
        with self.connection() as connection:
            postgresql_alone.make_up(connection, filling.making(self.statements.dialect))

    def gather_statistics(self) -> None:
        with self.connection() as connection:
            postgresql_alone.gather_statistics(connection)

    def prepare(self, *, make: bool = True) -> None:
        for _ in range(ATTEMPTS):
            with self.connection() as connection:
                if schema.is_current(stamp(connection), make=make, usable_from=partial(_usable_from, connection)):
                    if connection.execute(filling.ASKED).fetchone() is not None:
                        postgresql_alone.take_over(connection, filling.making(self.statements.dialect))
                    _gather(connection)
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


def _gather(connection: Connection) -> None:
    """Let the planner know the tables of which it knows nothing, or that grew tenfold since it did: those of a database
    that was restored or filled just now. Where that is not allowed, autovacuum will do it.
    """
    with suppress(psycopg.Error), connection.transaction():
        if connection.execute(_ONLY_READ.text).fetchone() == ("off",):
            unknown = [
                sql.Identifier(name) for (name,) in connection.execute(_UNKNOWN, [list(schema.TABLES)]).fetchall()
            ]
            if unknown:
                connection.execute("SET LOCAL statement_timeout = 0")
                connection.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(unknown)))


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
