"""Connections to PostgreSQL: a pool, and somebody who notices that the server is gone, or stands still.

A server that is down refuses; one that is cut off or stopped says nothing at all, and whoever asked it waits. So one
thread watches for those who wait, and asks the server itself, with a limit of time. Where that gets no answer, all who
wait are sent away, and all who come, at once, until the server answers again: a circuit breaker.

https://www.postgresql.org/docs/current/libpq-connect.html and https://www.psycopg.org/psycopg3/docs/advanced/pool.html
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from apothecary.errors import Busy, StartError, Unreachable
from apothecary.store.questions import Answer, Asked, Questions

log = logging.getLogger("apothecary")

# How often the watch looks, in seconds, and for how long somebody waits before it asks whether the server is there.
LOOK, PATIENCE = 0.25, 1.0

# libpq rounds a shorter limit up to this.
SHORTEST = 2

# How long a server may take to answer at the start, in seconds.
OPEN = 10.0

# What a server says that is there, and takes no more connections: those that it has are as good as before.
_FULL = re.compile(r"too many clients|(too many|no more) connections|remaining connection slots")
# What libpq reports, and what to say of it: neither addresses nor names. In another language than English only the log
# has the reason.
_REASONS = (
    (re.compile(r"timeout|timed out"), "it does not answer"),
    (re.compile(r"refused"), "it refuses connections"),
    (re.compile(r"starting up|shutting down|recovery"), "it is starting or stopping"),
    (re.compile(r"password|authentication|pg_hba\.conf|does not exist|permission"), "it does not let this server in"),
)


class Connection(psycopg.Connection[Any]):
    """A connection that knows since when somebody waits for its server."""

    waiting: float | None = None
    """The moment of the monotonic clock when the wait began; None where nobody waits."""
    home: ConnectionPool[Connection] | None = None
    """The pool that it was taken from."""

    @cached_property
    def _questions(self) -> Questions:
        return Questions(self)

    def ask(self, asked: Asked) -> list[Any]:
        """As `Questions.ask`."""
        with self._wait():
            return self._questions.ask(asked)

    def ask_all(self, some: Sequence[Asked]) -> list[Answer]:
        """As `Questions.ask_all`."""
        with self._wait():
            return self._questions.ask_all(some)

    def roll_back(self) -> None:
        """Undo what was begun. Psycopg's own lets go all kept statements, too. Raises psycopg.Error."""
        with self._wait():
            if self.pgconn.transaction_status != TransactionStatus.IDLE:
                self.pgconn.exec_(b"ROLLBACK")

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self.waiting = time.monotonic()
        try:
            yield
        finally:
            self.waiting = None

    def wait(self, *given: Any, **named: Any) -> Any:
        with self._wait():
            return super().wait(*given, **named)

    def cut(self, since: float) -> None:
        """End the wait that began at `since`, from another thread: its socket ends, and libpq takes that for the
        server's end. Where that wait is over, nothing happens.
        """
        with suppress(OSError, psycopg.Error):
            number = self.fileno()
            with socket.socket(fileno=os.dup(number)) as ours:
                # As long as the wait lasts, the number is that of its socket.
                if self.waiting == since:
                    ours.shutdown(socket.SHUT_RDWR)


class Connections:
    """Lends connections to one server."""

    def __init__(self, conninfo: str, *, most: int, statement: float, seconds: float, pooled: bool = False) -> None:
        """`most` bounds the connections, `statement` is the limit of one statement, and `seconds` how long the server
        may take to answer at all. `pooled`: they lead to a pooler, so that nothing can be set for a session. Raises
        StartError where none answers.
        """
        self.pooled = pooled
        self._most, self._statement, self._seconds = most, statement, seconds
        given = conninfo_to_dict(conninfo)
        self._conninfo = make_conninfo(conninfo, **_in_time(given, seconds))
        # Shorter than `seconds`, because somebody has waited before it is asked.
        self._probe_seconds = max(SHORTEST, int(seconds - PATIENCE))
        self._lent: set[Connection] = set()
        self._lock = threading.Lock()
        self._doubt, self._closed = threading.Event(), threading.Event()
        # Set while what is known of the server is no older than the last doubt.
        self._sure = threading.Event()
        self._sure.set()
        self.down: str | None = None
        """Why nobody is let through; None while the server answers."""
        self.opened = 0
        """How many connections were opened."""
        self._stale = False
        self._pool = self._new_pool()
        try:
            self._pool.open(wait=True, timeout=OPEN)
        except PoolTimeout as error:
            self._pool.close()
            raise StartError(f"no PostgreSQL server answers: {error}") from None
        threading.Thread(target=self._watch, name="database", daemon=True).start()

    def take(self) -> Connection:
        """A connection, to be given back. Raises Unreachable where the server does not answer, Busy where all are in
        use.
        """
        if self.down is not None:
            raise self.unreachable()
        pool = self._pool
        try:
            connection = pool.getconn()
        except (PoolTimeout, PoolClosed):
            if self.down is None and len(self._lent) >= self._most:
                raise Busy("every database connection is in use; try again", headers={"Retry-After": "1"}) from None
            self.doubt(stale=False)
            raise self.unreachable() from None
        connection.home = pool
        with self._lock:
            self._lent.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """What was begun on it and not ended is undone."""
        with self._lock:
            self._lent.discard(connection)
        if connection.home is not None:
            connection.home.putconn(connection)

    def doubt(self, *, stale: bool = True) -> None:
        """Somebody met a fault. `stale` says that the other connections are worth nothing either. While the server is
        known not to answer, that is no news.
        """
        if self.down is not None:
            return
        self._stale = self._stale or stale
        self._sure.clear()
        self._doubt.set()

    def back(self) -> bool:
        """Whether the server answers, after a doubt: waits until that is known."""
        return self._sure.wait(2 * self._seconds + SHORTEST) and self.down is None

    def unreachable(self) -> Unreachable:
        """What everybody is told meanwhile."""
        why = f": {self.down}" if self.down else ""
        return Unreachable(f"the database cannot be reached{why}; try again", headers={"Retry-After": "5"})

    def close(self) -> None:
        self._closed.set()
        # Whoever is in doubt waits for nothing: nobody asks the server any more.
        self.down = "it was closed"
        self._sure.set()
        self._doubt.set()
        self._pool.close()

    # -- the watch

    def _watch(self) -> None:
        asked = 0.0
        while not self._closed.is_set():
            doubted = self._doubt.wait(LOOK)
            self._doubt.clear()
            if self._closed.is_set():
                return
            now = time.monotonic()
            waits = self._waits()
            for connection, since in waits:
                # The server ends a statement at its limit, unless what works on it stands still.
                if now - since > self._statement + self._seconds:
                    connection.cut(since)
            long = any(now - since > PATIENCE for _, since in waits)
            # While it is known to be down, and for those who have waited long, it is asked again and again.
            again = now - asked > (PATIENCE if self.down is not None else 2 * PATIENCE)
            if doubted or ((long or self.down is not None) and again):
                self._ask()
                asked = time.monotonic()

    def _waits(self) -> list[tuple[Connection, float]]:
        with self._lock:
            return [(one, since) for one in self._lent if (since := one.waiting) is not None]

    def _ask(self) -> None:
        """Find out whether the server answers, and draw the conclusions."""
        reason = self._why_not()
        if self._closed.is_set():
            return
        if reason is None and (self._stale or self.down is not None):
            reason = self._renew()
        if reason is not None:
            if self.down is None:
                log.error("the database cannot be reached: %s; requests are answered with 503 until it can", reason)
            self.down = _said(reason)
            # Nobody waits any longer, and the pool does not go on trying on its own.
            for connection, since in self._waits():
                connection.cut(since)
            self._retire(self._pool)
        elif self.down is not None:
            self.down = None
            log.warning("the database can be reached again")
        self._sure.set()

    def _why_not(self) -> str | None:
        """Why the server does not answer; None where it does."""
        try:
            asked = make_conninfo(self._conninfo, connect_timeout=self._probe_seconds)
            with closing(Connection.connect(asked, autocommit=True, application_name="apothecary")) as connection:
                if self.pooled:
                    self._ask_behind(connection)
        except psycopg.Error as error:
            return None if _FULL.search(str(error)) else " ".join(str(error).split())
        return None

    def _ask_behind(self, connection: Connection) -> None:
        """Have the server answer: a pooler takes connections for one that is gone. Raises psycopg.Error."""

        def give_up() -> None:
            if connection.waiting is not None:
                connection.cut(connection.waiting)

        limit = threading.Timer(self._probe_seconds, give_up)
        limit.daemon = True
        limit.start()
        try:
            connection.execute("SELECT 1")
        finally:
            limit.cancel()

    def _renew(self) -> str | None:
        """A new pool in the place of one whose connections went with a server; why that cannot be had."""
        self._stale = False
        made = self._new_pool()
        try:
            made.open(wait=True, timeout=self._probe_seconds)
        except PoolTimeout as error:
            self._retire(made)
            return str(error)
        old, self._pool = self._pool, made
        self._retire(old)
        return None

    @staticmethod
    def _retire(pool: ConnectionPool[Connection]) -> None:
        """Close a pool. What is lent out is closed when it comes back."""
        threading.Thread(target=pool.close, kwargs={"timeout": OPEN}, name="retired pool", daemon=True).start()

    def _new_pool(self) -> ConnectionPool[Connection]:
        options: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "application_name": "apothecary"}
        if not self.pooled:
            # Compiling a statement takes longer than a page of a search does, whatever the planner thinks it costs.
            options["options"] = f"-c statement_timeout={int(self._statement * 1000)} -c jit=off"
            options["prepare_threshold"] = 1
        return ConnectionPool(
            self._conninfo,
            connection_class=Connection,
            min_size=1,
            max_size=self._most,
            kwargs=options,
            configure=self._configure,
            timeout=self._seconds,
            open=False,
            name="apothecary",
        )

    def _configure(self, connection: Connection) -> None:
        with self._lock:
            self.opened += 1
        # For the transactions that psycopg begins, such as the making of tables.
        connection.isolation_level = IsolationLevel.SERIALIZABLE


def _in_time(given: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Limits of libpq's that the address does not set itself: to connect, and until a silent network is given up."""
    wanted = {
        "connect_timeout": max(SHORTEST, int(seconds)),
        "tcp_user_timeout": int(seconds * 1000),
        "keepalives_idle": max(1, int(seconds)),
        "keepalives_interval": 1,
        "keepalives_count": max(1, int(seconds)),
    }
    return {name: value for name, value in wanted.items() if not given.get(name)}


def _said(reason: str) -> str:
    return next((said for pattern, said in _REASONS if pattern.search(reason)), "the log has the reason")
