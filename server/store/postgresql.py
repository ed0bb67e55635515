"""The store for more than one machine: PostgreSQL through psycopg 3 and a pool of connections.

https://www.postgresql.org/docs/current/transaction-iso.html and https://www.psycopg.org/psycopg3/docs/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from server.errors import BadRequest, Busy, StartError
from server.store import schema
from server.store.sql import SqlStore
from server.store.statements import Statement
from server.store.write import SqlTransaction, Writes


def _dialect() -> Dialect:
    made: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
    return made


class PostgresqlStore(SqlStore):
    """A store in a PostgreSQL database."""

    def __init__(self, conninfo: str, *, connections: int = 4, seconds: float = 30.0) -> None:
        """`conninfo` is libpq's; `connections` bounds the pool, `seconds` one statement. Raises StartError where no
        server answers.
        """
        self._seconds = seconds
        options = {
            "options": f"-c statement_timeout={int(seconds * 1000)}",
            "autocommit": True,
            "prepare_threshold": 1,
            "application_name": "apothecary",
        }
        self._pool = ConnectionPool(
            conninfo, min_size=1, max_size=connections, kwargs=options, timeout=10.0, open=False, name="apothecary"
        )
        try:
            self._pool.open(wait=True, timeout=10.0)
        except PoolTimeout as error:
            self._pool.close()
            raise StartError(f"no PostgreSQL server answers: {error}") from None
        super().__init__(_dialect())
        self._writes = Writes(self)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
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
        except psycopg.errors.QueryCanceled:
            raise Busy(
                f"the search ran longer than the limit of {self._seconds:g} seconds; ask for less", code="timeout"
            ) from None

    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        with self._connection() as connection:
            return connection.cursor(binary=True).execute(statement.text, bound).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Serializable: transactions that could not have run one after the other do not both commit, so two conditional
        creates of the same thing cannot both find nothing. Readers outside transactions never wait.
        """
        with self._connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            transaction = SqlTransaction(self.statements, self._writes, connection.cursor(binary=True))
            yield transaction
            transaction.flush()

    def retryable(self, error: Exception) -> bool:
        """Serialization failures and deadlocks, and a key that another transaction took first."""
        return isinstance(
            error,
            psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected | psycopg.errors.UniqueViolation,
        )

    def prepare(self) -> None:
        with self._connection() as connection, connection.transaction():
            known = connection.execute("SELECT to_regclass('state')").fetchone()
        exists = known is not None and known[0] is not None
        schema.prepare(self.state("schema") or "unknown" if exists else None, self.statements.dialect, self._script)

    def _script(self, statements: Sequence[str]) -> None:
        with self._connection() as connection, connection.transaction():
            for one in statements:
                connection.execute(one)

    def close(self) -> None:
        self._pool.close()
