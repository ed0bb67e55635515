"""The writers of one process: they wait in one line, go in as they came, and are committed together.

SQLite has one writer at a time, and a commit that survives a power cut waits for the disk. So who comes while another
writes stands in line, without a thread that readers need (`apothecary.rest.gate`). When a writer is done and the next
one stands there, it does not commit: the next goes on in the same transaction of the database, behind a savepoint. The
last of such a group commits for all of them. Nobody returns before the commit that holds its work, and whose work fails
undoes that work alone. A lone writer begins and commits as if there were no line.

https://www.sqlite.org/lang_savepoint.html
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from apothecary.errors import Busy

# A group takes in nobody else once it has so many members, or began so many seconds ago: all of them wait for the last.
MOST, LONGEST = 100, 0.05

# So long, in seconds, a process with more writers in line leaves the database to those of other processes. They look
# more often than that (`apothecary.store.sqlite`).
REST = 0.002


C = TypeVar("C", bound=sqlite3.Connection)


class Undone(Exception):
    """The group of a writer was undone by what became of another's work: its own is to be done again."""


class _Waiting(NamedTuple):
    """Somebody in line: a lock that is released when it may go in, and whether it may join a group."""

    turn: threading.Lock
    joins: bool


class Line:
    """Lets so many in at a time, in the order in which they came."""

    def __init__(self, width: int) -> None:
        self._free = width
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()

    def enter(self, seconds: float = -1, *, joins: bool = False, before: Callable[[], None] | None = None) -> bool:
        """Wait until this thread may go in; False where it may not within `seconds`, if those are given. Where it has
        to wait, `before` is called first.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            mine = _Waiting(threading.Lock(), joins)
            mine.turn.acquire()
            self._waiting.append(mine)
        if before is not None:
            before()
        if mine.turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True

    def leave(self) -> None:
        """Let the next one in."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().turn.release()
            else:
                self._free += 1

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """A turn for the block. Raises Busy where it does not come within `seconds`."""
        if not self.enter(seconds):
            raise busy()
        try:
            yield
        finally:
            self.leave()

    def pass_on(self) -> bool:
        """Let the next one in if it may join a group; False, and nothing is done, where it may not, or nobody waits."""
        with self._lock:
            if not (self._waiting and self._waiting[0].joins):
                return False
            self._waiting.popleft().turn.release()
            return True

    @property
    def full(self) -> bool:
        """Whether who comes now waits."""
        return self._free == 0

    @property
    def length(self) -> int:
        """How many wait."""
        return len(self._waiting)


class _Group(Generic[C]):
    """Writers that are committed together, on one connection."""

    def __init__(self, connection: C) -> None:
        self.connection = connection
        self.began = time.monotonic()
        self.size = 0
        """How many have done their work."""
        self.over = threading.Event()
        self.failure: Exception | None = None
        """Why it was not committed."""
        self._spoiled = False

    @property
    def full(self) -> bool:
        """Whether it takes in nobody else."""
        return self.size >= MOST or time.monotonic() - self.began > LONGEST

    @property
    def sound(self) -> bool:
        """Whether it holds what its members did, and nothing else. Some faults undo the whole of a transaction:
        https://www.sqlite.org/lang_transaction.html
        """
        return self.connection.in_transaction and not self._spoiled

    @contextmanager
    def part(self) -> Iterator[None]:
        """The work of one member: all of it is done, or nothing. That of the first is all that there is so far."""
        first = self.size == 0
        if not first:
            self.connection.execute("SAVEPOINT work")
        try:
            yield
            if not first:
                self.connection.execute("RELEASE work")
        except BaseException:
            if not first and self.connection.in_transaction:
                self._spoiled = True
                self.connection.execute("ROLLBACK TO work")
                self.connection.execute("RELEASE work")
                self._spoiled = False
            raise
        self.size += 1


class Writers(Generic[C]):
    """Those who write to one SQLite database."""

    def __init__(
        self,
        begin: Callable[[float], C],
        commit: Callable[[C], None],
        give_back: Callable[[C], None],
        seconds: float,
    ) -> None:
        """`begin` gives a connection with a transaction, within so many seconds; `commit` ends that, and `give_back`
        takes the connection back. Nobody waits to begin for longer than `seconds`.
        """
        self._begin, self._commit, self._give_back = begin, commit, give_back
        self._seconds = seconds
        self._line = Line(1)
        # The group that goes on. Only who is in changes it.
        self._group: _Group[C] | None = None

    @property
    def busy(self) -> bool:
        """Whether who comes now waits for others of this process."""
        return self._line.full

    @contextmanager
    def turn(self, *, joins: bool) -> Iterator[C]:
        """A connection to write on, for the block. What was written is committed when this returns. Who `joins` may
        share a commit: its work is short, since others wait for it.

        Raises Busy where the turn does not come, Undone where the work is to be done again, and whatever keeps the
        database from beginning or committing.
        """
        end = time.monotonic() + self._seconds
        if not self._line.enter(self._seconds, joins=joins):
            raise busy()
        group, self._group = self._group, None
        try:
            group = group or _Group(self._begin(end - time.monotonic()))
            with group.part():
                yield group.connection
        finally:
            if group is None or not (joins and self._goes_on(group)):
                self._end(group)
        group.over.wait()
        if group.failure is not None:
            raise group.failure

    def _goes_on(self, group: _Group[C]) -> bool:
        """Leave a group to the next in line; False where that cannot be."""
        if group.size == 0 or group.full or not group.sound:
            return False
        self._group = group
        if self._line.pass_on():
            return True
        self._group = None
        return False

    def _end(self, group: _Group[C] | None) -> None:
        """Commit a group, and let the next one in to begin another."""
        try:
            if group is not None:
                self._settle(group)
                if group.full and self._line.length:
                    time.sleep(REST)
        finally:
            self._line.leave()

    def _settle(self, group: _Group[C]) -> None:
        """Commit; where that fails, or nothing was done, undo. All members are told."""
        connection = group.connection
        try:
            if not group.sound:
                group.failure = Undone()
            elif group.size:
                self._commit(connection)
        except Exception as error:
            group.failure = error
        finally:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            finally:
                self._give_back(connection)
                group.over.set()


def busy() -> Busy:
    """What a writer is answered with whose turn does not come."""
    return Busy("the database is busy with other writes; try again", headers={"Retry-After": "1"})
