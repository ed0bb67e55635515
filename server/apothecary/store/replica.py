"""Reading from a PostgreSQL standby without missing one's own writes.

A standby replays the primary's log a little later (https://www.postgresql.org/docs/current/warm-standby.html). Every
write notes the position that the log had after it. A request that must see a write goes to the primary until the
standby has replayed that position; all others go to the standby. What a request must see is what this process wrote
itself, and what the client says that it has seen: the position travels in a cookie.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from typing import Any

import psycopg

from apothecary.errors import Busy, StartError
from apothecary.store.connections import Connection
from apothecary.store.contract import Replica
from apothecary.store.postgresql import PostgresqlStore
from apothecary.store.sql import SqlReader
from apothecary.store.statements import Statement

# How long a standby that failed is left alone, in seconds.
PAUSE = 5.0

_REPLAYED = Statement("SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint", (), {})

# What a client may claim to have seen: a position is 64 bits.
LARGEST = 2**64 - 1


class ReplicaReader(SqlReader, Replica):
    """Reads of a standby where it has what the request must see, of the primary otherwise or when the standby fails."""

    def __init__(self, primary: PostgresqlStore, replica: PostgresqlStore) -> None:
        """Raises StartError where `replica` is no standby of `primary`."""
        super().__init__(primary.statements)
        self._primary = primary
        self._replica = replica
        _check(primary, replica)
        # What was there when the server started (its tables, its content) must be seen from the first request on.
        with primary.connection() as connection:
            self._written = _end(connection)
        self._replayed = 0
        self._paused_until = 0.0
        self._request = threading.local()
        primary.committed = self._note

    # -- one request

    def begin(self, seen: str | None) -> None:
        """A request begins in this thread; `seen` is the position that its client has seen, None where it says nothing.

        A position that cannot be is taken for none: it is the client's own loss.
        """
        position = int(seen) if seen and seen.isascii() and seen.isdigit() and len(seen) <= 20 else 0
        self._request.seen = position if position <= LARGEST else 0
        self._request.wrote = 0

    def wrote(self) -> str | None:
        """The position after what this thread wrote since it was last asked; None where it wrote nothing."""
        position = getattr(self._request, "wrote", 0)
        self._request.wrote = 0
        return str(position) if position else None

    def _note(self, connection: Connection) -> None:
        position = _end(connection)
        self._request.wrote = position
        # Without a lock: of two writers at once the smaller may stand for a moment, and both tell their clients.
        self._written = max(self._written, position)

    # -- its reads

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        if time.monotonic() < self._paused_until:
            return self._primary.rows(statement, bound, most)
        try:
            if self._has(self._wanted):
                return self._replica.rows(statement, bound, most)
        except Busy as error:
            # A slow statement would be slow on the primary too. What failed for another reason can be asked there.
            if error.issues[0].code == "timeout":
                raise
            self._paused_until = time.monotonic() + PAUSE
        except psycopg.errors.SerializationFailure:
            # The standby had to cancel the statement, because replaying the log removed rows that it reads.
            pass
        return self._primary.rows(statement, bound, most)

    def changes(self) -> Hashable | None:
        """How far the standby has replayed the log: its snapshots leave out what has yet to commit on the primary."""
        if time.monotonic() < self._paused_until:
            return None
        wanted = self._wanted
        try:
            state = self._replica.since_opened(_REPLAYED)
        except Busy:
            self._paused_until = time.monotonic() + PAUSE
            return None
        return state if state is not None and wanted <= self._noted(state[1]) else None

    @property
    def _wanted(self) -> int:
        """The position up to which this request must see the log."""
        return max(self._written, getattr(self._request, "seen", 0))

    def _has(self, position: int) -> bool:
        """Whether the standby has replayed the log up to `position`."""
        if position > self._replayed:
            self._noted(self._replica.rows(_REPLAYED, ())[0][0])
        return position <= self._replayed

    def _noted(self, replayed: int | None) -> int:
        # None: a server that never was a standby. It may have been replaced while this process runs.
        self._replayed = replayed or 0
        return self._replayed

    def close(self) -> None:
        """Close the connections to the standby; those to the primary stay."""
        self._primary.committed = None
        self._replica.close()


def _end(connection: Connection) -> int:
    """The position up to which the log has been written by now: past every commit that was acknowledged."""
    found = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    return int(found[0]) if found else 0


def _check(primary: PostgresqlStore, replica: PostgresqlStore) -> None:
    question = "SELECT system_identifier, pg_is_in_recovery() FROM pg_control_system()"
    with primary.connection() as one, replica.connection() as other:
        origin, origin_recovers = one.execute(question).fetchone() or (None, False)
        copy, copy_recovers = other.execute(question).fetchone() or (None, False)
    if origin_recovers:
        raise StartError(
            "database is a standby, which takes no writes; name the primary, and the standby as read_database"
        )
    if not copy_recovers or copy != origin:
        raise StartError("APOTHECARY_READ_DATABASE names no streaming standby of the database in APOTHECARY_DATABASE")
