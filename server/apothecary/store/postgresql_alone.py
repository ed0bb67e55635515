"""One process that has a PostgreSQL database to itself, as far as Apothecary is concerned, and what it does there.

https://www.postgresql.org/docs/current/explicit-locking.html and https://www.postgresql.org/docs/current/populate.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import FeatureNotSupported, LockNotAvailable
from psycopg.errors import SyntaxError as SyntaxError_

from apothecary.errors import StartError
from apothecary.store import filling, schema

log = logging.getLogger("apothecary")

# Every connection of a server has this name, whoever it logs in as.
SERVERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'apothecary' AND pid <> pg_backend_pid()"""

# As who migrates takes turns: nobody is kept from reading or writing by it.
_TURN = f"LOCK TABLE {schema.STAMP} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT"

# Enough to sort an index of a million rows in memory.
_LARGE = ("SET LOCAL statement_timeout = 0", "SET LOCAL maintenance_work_mem = '256MB'")

Connection = psycopg.Connection[Any]


@contextmanager
def alone(conninfo: str) -> Iterator[bool]:
    """Hold the turn until the block ends; False where another process has it, or a server is connected. A server that
    starts meanwhile is told to wait.
    """
    with psycopg.connect(conninfo, application_name="apothecary load") as connection:
        try:
            connection.execute(_TURN)
        except LockNotAvailable:
            connection.rollback()
            yield False
            return
        # This process has one connection beside this one.
        (servers,) = connection.execute(SERVERS).fetchone() or (0,)
        yield servers <= 1
        connection.rollback()


def make_up(connection: Connection, statements: Sequence[str]) -> None:
    """Make what was left out, and have no more pages than need be."""
    with connection.transaction():
        for one in (*_LARGE, *statements):
            connection.execute(one)
    # Engines that speak PostgreSQL's language keep their keys in other ways.
    with suppress(FeatureNotSupported, SyntaxError_), connection.transaction():
        for one in (*_LARGE, *filling.packing()):
            connection.execute(one)


def take_over(connection: Connection, statements: Sequence[str]) -> None:
    """Make what a load left out that was ended. Raises StartError where it is still at it."""
    try:
        with connection.transaction():
            connection.execute(_TURN)
            if connection.execute(filling.ASKED).fetchone() is not None:
                log.warning(filling.MAKING_UP)
                for one in (*_LARGE, *statements):
                    connection.execute(one)
    except LockNotAvailable:
        raise StartError(
            "`apothecary load` fills this database and has it to itself: start again when it is done"
        ) from None


def gather_statistics(connection: Connection) -> None:
    """Let the database look at what the tables hold."""
    with connection.transaction():
        connection.execute(_LARGE[0])
        for one in filling.gathering():
            connection.execute(one)
