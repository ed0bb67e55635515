"""The writers of one process: they wait in one line, go in as they came, and are committed together.

SQLite has one writer at a time, and a commit that survives a power cut waits for the disk. So who comes while another
writes stands in line, without a thread that readers need (`apothecary.rest.gate`). Who is done with its work does not
commit while others stand there, but does theirs, too, in the same transaction of the database, each behind a savepoint;
then it commits for all of them. Nobody returns before the commit that holds its work, and whose work fails undoes that
work alone. A lone writer begins and commits as if there were no line.

To hand the connection on instead, from thread to thread, keeps the database from other processes for a fifth longer:
each has to be woken, and to wait for the interpreter's lock (docs/performance.md).

https://www.sqlite.org/lang_savepoint.html
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, NamedTuple, TypeVar

from apothecary.errors import Busy

# A group takes in nobody else once it has so many members, or began so many seconds ago: all of them wait for the last.
MOST, LONGEST = 100, 0.05

# So long, in seconds, a process with more writers in line leaves the database to those of other processes. They look
# more often than that (`apothecary.store.sqlite`).
REST = 0.002


C = TypeVar("C", bound=sqlite3.Connection)
T = TypeVar("T")


class Undone(Exception):
    """The group of a writer was undone by what became of another's work: its own is to be done again."""


class _Lent(threading.local):
    """The seconds of a processor in which a thread did the work of others, less those in which others did its own."""

    seconds = 0.0


_lent = _Lent()


def own_time() -> float:
    """The seconds of a processor that this thread's own work took, whoever did it."""
    return time.thread_time() - _lent.seconds


class Job:
    """Work that may be done by another thread, as if by the one that asked for it: in the context of that one
    (https://docs.python.org/3/library/contextvars.html), and with the same outcome for it.
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work, self._context = work, copy_context()
        self._result: Any = None
        self.taken = False
        """Whether somebody does it, or has done it."""
        self.failure: BaseException | None = None
        self.seconds = 0.0
        """How long it had a processor."""

    def do(self, connection: Any) -> None:
        """Raises what the work raises."""
        began = time.thread_time()
        try:
            self._result = self._context.run(self._work, connection)
        finally:
            self.seconds = time.thread_time() - began

    def outcome(self) -> Any:
        """What the work gave. Raises what it raised, or why it was not committed."""
        failure, self.failure = self.failure, None
        try:
            if failure is not None:
                raise failure
            return self._result
        finally:
            # An error knows where it was raised, and would keep itself there.
            del failure


class _Waiting(NamedTuple):
    """Somebody in line: a lock that is released when it may go in, or its job is done; where another may do it."""

    turn: threading.Lock
    job: Job | None


class Line:
    """Lets so many in at a time, in the order in which they came."""

    def __init__(self, width: int) -> None:
        self._free = width
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()

    def enter(
        self,
        seconds: float = -1,
        *,
        job: Job | None = None,
        before: Callable[[], None] | None = None,
        soon: float = 0,
    ) -> bool:
        """Wait until this thread may go in, or until another one that is in has taken its `job` and done it; False
        where neither begins within `seconds`, if those are given. Where it has to wait longer than `soon`, in seconds,
        `before` is called, and it waits on.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            mine = _Waiting(threading.Lock(), job)
            mine.turn.acquire()
            self._waiting.append(mine)
        if soon and mine.turn.acquire(timeout=soon):
            return True
        if before is not None:
            before()
        if mine.turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        # It came at the last moment: the turn, or somebody for the job.
        mine.turn.acquire()
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

    def take(self) -> tuple[threading.Lock, Job] | None:
        """The job of the next one, which this thread is to do, and what to release then; None where nobody waits, or
        the next one does its work itself.
        """
        with self._lock:
            job = self._waiting[0].job if self._waiting else None
            if job is None:
                return None
            job.taken = True
            return self._waiting.popleft().turn, job

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
        self.jobs: list[Job] = []
        self.waiting: list[threading.Lock] = []
        """What those wait for whose jobs another thread does."""
        self.size = 0
        """How many have done their work."""
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

    def add(self, job: Job) -> None:
        """Do a job."""
        self.jobs.append(job)
        try:
            with self.part():
                job.do(self.connection)
        except BaseException as error:
            # It is that of the thread which asked for it.
            job.failure = error


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

    @property
    def busy(self) -> bool:
        """Whether who comes now waits for others of this process."""
        return self._line.full

    @contextmanager
    def turn(self) -> Iterator[C]:
        """A connection to write on, for the block. What was written is committed when this returns.

        Raises Busy where the turn does not come, and whatever keeps the database from beginning or committing.
        """
        end = time.monotonic() + self._seconds
        with self._line.turn(self._seconds):
            group = _Group(self._begin(end - time.monotonic()))
            try:
                with group.part():
                    yield group.connection
            finally:
                self._settle(group)
        if group.failure is not None:
            raise group.failure

    def together(self, work: Callable[[C], T]) -> T:
        """What `work` gives, for a connection to write on; it is committed with that of others, who wait for it, so it
        must be short. Another thread may do it.

        Raises what `turn` raises, what `work` does, and Undone where it is to be done again.
        """
        job = Job(work)
        end = time.monotonic() + self._seconds
        if not self._line.enter(self._seconds, job=job):
            raise busy()
        if job.taken:
            _lent.seconds -= job.seconds
        else:
            self._lead(job, end)
        result: T = job.outcome()
        return result

    def _lead(self, job: Job, end: float) -> None:
        """Do a job and those of others that stand in line, commit them, and let the next one in."""
        try:
            group = _Group(self._begin(end - time.monotonic()))
            try:
                group.add(job)
                while group.size and group.sound and not group.full and (other := self._line.take()):
                    waiting, theirs = other
                    group.waiting.append(waiting)
                    group.add(theirs)
                    _lent.seconds += theirs.seconds
            finally:
                self._settle(group)
        finally:
            self._line.leave()

    def _settle(self, group: _Group[C]) -> None:
        """Commit; where that fails, or nothing was done, undo. All members are told. Where it had its time and others
        wait, rest.
        """
        connection = group.connection
        try:
            if not group.sound:
                group.failure = Undone()
            elif group.size:
                self._commit(connection)
        except Exception as error:
            group.failure = error
        finally:
            for job in group.jobs:
                if job.failure is None:
                    job.failure = group.failure
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            finally:
                try:
                    self._give_back(connection)
                finally:
                    for waiting in group.waiting:
                        waiting.release()
        if group.full and self._line.length:
            time.sleep(REST)


def busy() -> Busy:
    """What a writer is answered with whose turn does not come."""
    return Busy("the database is busy with other writes; try again", headers={"Retry-After": "1"})
