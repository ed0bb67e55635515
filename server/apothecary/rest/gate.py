"""Who may be answered at the same time: so many requests as there are turns, each with a body that is there already.

A server's threads are many, one for each connection, and cost little while they wait. What they wait for is either the
client (a body that is still on its way) or a turn; no request that is worked on waits for a slow client, and what
answers without the database needs no turn at all.

Who writes stands in a line of its own, and has no turn while the database lets others write: however many write, those
who read have the turns that they had before.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Lock, get_ident
from typing import Any, NamedTuple

from apothecary.errors import BadRequest, Busy, RequestTimeout
from apothecary.settings import Settings
from apothecary.store.writers import Line

# Asks nothing of the database, so that it is answered whatever the others wait for.
FREE = frozenset({"/healthz", "/metrics"})
# Asks only whether the database answers. It has a turn of its own, and is not kept from it by searches.
PROBE = "/readyz"

# Where the WSGI environment says that all a request does is to write one resource: what it does then is little.
ONE = "apothecary.one"

# What the interactions read bodies of: https://hl7.org/fhir/R5/http.html#summary
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
WRITING = WITH_BODY | {"DELETE"}

# Where the WSGI environment says why a request is refused: no turn came, or nobody knows who sends it.
REFUSED = "apothecary.refused"

# A body is taken in by so many bytes at a time; all bodies of a process together may have so many times the largest.
CHUNK, BODIES = 64 * 1024, 8

# Of a body that is not wanted so many times the largest is read, for its sender to get the answer.
DRAINED = 2

# A writer whose turn comes where readers had so many turns within so many seconds rests so long before it begins: a
# write costs as much as several reads, and keeps the interpreter's lock for longer at a time. Who reads before each of
# its own writes is not so many.
MANY, RECENTLY, REST = 6, 0.005, 0.006

# Where a reader's turn came within the last so many seconds, the next one is waited for that long before another thread
# is told to take requests in: it would wait for its turn as well, and all of them would wake each other from then on.
SOON = 0.002


class Work(NamedTuple):
    """A request in hand: since when (of the monotonic clock), the bytes of its body, what these may become when they
    are read, the line that it came from, whether it writes one resource and no more, and whether it has a turn.
    """

    since: float
    held: int
    read: int
    line: Line
    one: bool
    turn: bool = True


class Gate:
    """What every request passes before it is worked on."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.body_limit
        self._body_seconds = settings.body_seconds
        self._wait = settings.request_seconds
        self._readers, self._writers = Line(settings.threads), Line(max(1, settings.threads // 2))
        self._probes = Line(1)
        self._most_writes = settings.write_queue
        self.hand_on: Callable[[], None] = _nobody
        """Called by a thread that is going to wait, for longer than `SOON` where turns come: others may be taken in by
        another thread.
        """
        self._lock = Lock()
        self._held = 0
        self._writing = 0
        self._aside = 0
        # By thread: when it began to read a body, and what it works on. Each thread changes its own key only.
        self._reading: dict[int, float] = {}
        self._working: dict[int, Work] = {}
        # When the turns of the last readers came, of the monotonic clock, the oldest first.
        self._read = deque([float("-inf")] * MANY, MANY)
        self.rest: Callable[[float], None] = time.sleep

    def enter(self, environ: dict[str, Any]) -> bool:
        """Return when the request may be worked on; whether `leave` is to be called afterwards.

        Raises RequestTimeout for a body that takes too long to arrive, BadRequest for one that ends too early, Busy
        where there is no room for it or its turn does not come.
        """
        if REFUSED in environ:
            raise environ[REFUSED]
        path = environ["PATH_INFO"]
        if path in FREE:
            return False
        held = self._take_in(environ) if environ["REQUEST_METHOD"] in WITH_BODY else 0
        line = self._writers if writes(environ) else self._probes if path == PROBE else self._readers
        try:
            self._line_up(line)
        except Busy as error:
            self._let_go(held)
            # Whoever asks again for this request has waited long enough.
            environ[REFUSED] = error
            raise
        if line is self._readers:
            self._read.append(time.monotonic())
        elif line is self._writers and time.monotonic() - self._read[0] < RECENTLY:
            self.hand_on()
            self.rest(REST)
        read = self._limit if "HTTP_CONTENT_ENCODING" in environ else held
        self._working[get_ident()] = Work(time.monotonic(), held, read, line, ONE in environ)
        return True

    def _line_up(self, line: Line) -> None:
        """Wait for a turn. Raises Busy."""
        if line is self._writers:
            with self._lock:
                if self._writing >= self._most_writes:
                    raise _busy(f"{self._writing} writes are waiting already (APOTHECARY_WRITE_QUEUE)")
                self._writing += 1
        moving = line is self._readers and time.monotonic() - self._read[-1] < SOON
        if not line.enter(self._wait, before=self.hand_on, soon=SOON if moving else 0):
            self._count_out(line)
            raise _busy("every thread is busy with other requests")

    def _count_out(self, line: Line) -> None:
        if line is self._writers:
            with self._lock:
                self._writing -= 1

    def leave(self) -> None:
        """The request of this thread was worked on."""
        work = self._working.pop(get_ident())
        if work.turn:
            work.line.leave()
        self._count_out(work.line)
        if work.held:
            self._let_go(work.held)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A reader's turn for the block, after the request that it belongs to has left. Raises Busy."""
        self._line_up(self._readers)
        try:
            yield
        finally:
            self._readers.leave()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """In the block the request of this thread, if it has one, waits: its turn is another's meanwhile. Afterwards it
        has a turn again, however long that takes: what it did is done. Who has only to say so needs none.

        All that wait so have read no more than one of the largest bodies: whose body would be more keeps its turn.
        """
        self.hand_on()
        work = self._working.get(get_ident())
        if work is None or not self._put_aside(work.read):
            yield
            return
        if work.turn:
            work.line.leave()
        try:
            yield
        finally:
            if work.one:
                self._working[get_ident()] = work._replace(turn=False)
            else:
                work.line.enter()
            self._put_aside(-work.read)

    def _put_aside(self, size: int) -> bool:
        with self._lock:
            if self._aside + size > self._limit:
                return False
            self._aside += size
            return True

    def counts(self) -> dict[str, int]:
        """What `/metrics` shows."""
        return {"writes": self._writing}

    def drain(self, environ: dict[str, Any]) -> None:
        """Read what is left of a body, up to twice the size of the largest, and forget it.

        A connection that is closed with something unread is reset, and the client may lose the answer that it was sent
        (https://www.rfc-editor.org/rfc/rfc9112#section-9.6). Who waits to be told to go on sends nothing.
        """
        length = _length(environ)
        if length == 0 or isinstance(environ["wsgi.input"], BytesIO) or environ.get("HTTP_EXPECT"):
            return
        thread, began = get_ident(), time.monotonic()
        most = DRAINED * self._limit
        left = most if length is None else min(length, most)
        self._reading[thread] = began
        try:
            while left > 0 and time.monotonic() - began <= self._body_seconds:
                chunk = environ["wsgi.input"].read(min(left, CHUNK))
                if not chunk:
                    break
                left -= len(chunk)
        except (OSError, ValueError):
            pass  # The client went: there is nobody to answer.
        finally:
            del self._reading[thread]

    def reads(self, thread: int) -> bool:
        """Whether a thread is reading a body."""
        return thread in self._reading

    def overdue(self) -> bool:
        """Whether a body takes longer to arrive than it may."""
        late = time.monotonic() - self._body_seconds
        return any(since < late for since in list(self._reading.values()))

    def newest_work(self, seconds: float) -> float | None:
        """Of the requests that are worked on for longer than `seconds`, for how many seconds the newest is; None where
        there is none.
        """
        now = time.monotonic()
        ages = [now - work.since for work in list(self._working.values())]
        return min((age for age in ages if age > seconds), default=None)

    def _take_in(self, environ: dict[str, Any]) -> int:
        """Put the whole body where the request looks for it; its size. A body that is too large is left where it is,
        for whoever reads it to refuse it.
        """
        length = _length(environ)
        if length == 0 or (length or 0) > self._limit:
            return 0
        thread, began = get_ident(), time.monotonic()
        self._reading[thread] = began
        try:
            chunks = self._chunks(environ["wsgi.input"], length, began)
        except RequestTimeout:
            # Nobody waits for the rest.
            environ["wsgi.input"] = BytesIO()
            raise
        finally:
            del self._reading[thread]
        environ["wsgi.input"] = BytesIO(b"".join(chunks) if len(chunks) != 1 else chunks[0])
        return sum(map(len, chunks))

    def _chunks(self, stream: Any, length: int | None, began: float) -> list[bytes]:
        # Of a body that comes in chunks one byte more than is allowed, so that it is seen to be too large.
        left = self._limit + 1 if length is None else length
        chunks: list[bytes] = []
        try:
            while left > 0:
                chunk = stream.read(min(left, CHUNK))
                late = time.monotonic() - began > self._body_seconds
                if late and (len(chunk) < left if length is not None else chunk):
                    raise self._late()
                if not chunk:
                    break
                self._hold(len(chunk))
                chunks.append(chunk)
                left -= len(chunk)
            if left and length is not None:
                raise BadRequest("the body ended before it was as long as Content-Length says", code="incomplete")
        except BaseException:
            self._let_go(sum(map(len, chunks)))
            raise
        return chunks

    def _late(self) -> RequestTimeout:
        return RequestTimeout(
            f"the body did not arrive within {self._body_seconds:g} seconds (APOTHECARY_BODY_SECONDS)",
            headers={"Connection": "close"},
        )

    def _hold(self, size: int) -> None:
        with self._lock:
            if self._held + size > BODIES * self._limit:
                raise _busy("the bodies of other requests leave no room for this one")
            self._held += size

    def _let_go(self, size: int) -> None:
        with self._lock:
            self._held -= size


def _length(environ: dict[str, Any]) -> int | None:
    """How long the body is; None where it ends by itself, 0 where nothing says that there is one."""
    said = environ.get("CONTENT_LENGTH") or ""
    if said.isascii() and said.isdigit():
        return int(said)
    return None if environ.get("wsgi.input_terminated") else 0


def writes(environ: dict[str, Any]) -> bool:
    """Whether a request may write, as far as its method and address tell: searches by POST and operations come for what
    there is. (https://hl7.org/fhir/R5/http.html#summary) An operation that writes takes its turn from the readers, and
    gives it back while it waits.
    """
    if environ["REQUEST_METHOD"] not in WRITING:
        return False
    return environ["PATH_INFO"].rstrip("/").rpartition("/")[2][:1] not in ("_", "$")


def _nobody() -> None:
    """Nobody is told."""


def _busy(why: str) -> Busy:
    return Busy(f"{why}; try again", headers={"Retry-After": "1"})
