"""One connection that has a SQLite file to itself, and writes it as a whole.

Only a connection that is alone may leave WAL mode (https://www.sqlite.org/wal.html), and in exclusive mode nobody gets
in before the end. A rollback journal suits a file that only grows: new pages are written once, and the log would have
each of them twice (https://www.sqlite.org/atomiccommit.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apothecary.store.filling import ASKED

# How it works meanwhile: a large index is sorted in files, by two processors. One sorts what the other has read as soon
# as that fills the page cache, so this is small then (https://www.sqlite.org/pragma.html#pragma_threads).
_MAKING = "cache_size=-8192"
_FILLING = ("synchronous=NORMAL", "cache_size=-327680", "journal_mode=TRUNCATE", "temp_store=FILE", "threads=2")


@contextmanager
def alone(connection: sqlite3.Connection, usual: Sequence[str], wait: float) -> Iterator[bool]:
    """Keep everybody else out until the block ends; False where somebody is in. `usual` are the connection's pragmas,
    and `wait` is how long it waits for locks, in seconds.
    """
    try:
        have = _alone(connection)
        if not have:
            _let_in(connection)
        _set(connection, f"busy_timeout={int(wait * 1000)}", *(_FILLING if have else ()))
        yield have
    finally:
        if have:
            _let_in(connection)
            _set(connection, *usual, "threads=0")


def make_up(connection: sqlite3.Connection, statements: Sequence[str], usual: Sequence[str]) -> None:
    """Make what was left out, and have it on the disk."""
    _set(connection, _MAKING)
    try:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute(ASKED).fetchone() is not None:
            for one in statements:
                connection.execute(one)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        _set(connection, *usual)
    # What was committed before was not waited for.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _alone(connection: sqlite3.Connection) -> bool:
    """Whether the connection has the file to itself now."""
    _set(connection, "busy_timeout=0", "locking_mode=EXCLUSIVE")
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        # The first transaction takes the lock, and in this mode it is kept.
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    connection.execute("COMMIT")
    return True


def _let_in(connection: sqlite3.Connection) -> None:
    # The lock goes with the next look into the file, and the log comes with it.
    for one in ("locking_mode=NORMAL", "journal_mode=WAL"):
        _set(connection, one)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _set(connection: sqlite3.Connection, *pragmas: str) -> None:
    for one in pragmas:
        connection.execute(f"PRAGMA {one}").fetchall()
