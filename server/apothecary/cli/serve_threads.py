"""Of the threads of a worker one takes requests at a time: the pattern Leader/Followers (D. C. Schmidt et al.,
Pattern-Oriented Software Architecture, volume 2).

SQLite lets go of the interpreter's lock at each row. Where other threads wait for that lock they are woken each time,
and a search costs a third more for it. So of granian's threads, one for each connection that may need one, all sleep
but the leader, which answers what comes, while the next requests wait in granian's queue. What waits does not lead: the
leader hands on before it waits for its turn (where turns come, it waits for a moment first) or writes, and who takes
longer than `SLOW`, for a client perhaps, has the lead taken away. It goes to sleep when it is done. Where nobody sleeps
that could lead, granian starts another thread.

While many write, each has its body in no time and leads until its turn to write comes, so that no two prepare their
writes against each other. Where a client was slow to send a body in the last second, or it is quiet, who writes hands
on at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Lock, get_ident
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from granian.server import mp

from apothecary.rest.gate import WRITING

# Most threads of a worker. Each that sleeps takes some 60 to 100 kB.
THREADS = 512

# A leader that takes longer for a request than so many seconds is none any more. It is looked after it so often, and
# less often where nobody asked for anything in the last second.
SLOW, IDLE = 0.005, 0.05

# Where no client was slow for so many seconds in which somebody asked, it is thought that bodies are there already.
TRUST = 1.0

# When nobody asked for anything for so many seconds, all wake: granian ends those that it has no use for.
QUIET = 30.0

Answering = Callable[[Any, dict[str, Any]], Any]
"""What granian calls for a request, in one of its threads: with where the answer goes, and what is asked."""


class Followers:
    """The threads of a worker, of which one leads."""

    def __init__(self, reads: Callable[[int], bool] = lambda _: False) -> None:
        """`reads` says whether a thread is reading what a client sends."""
        self._reads = reads
        self._lock = Lock()
        self._leader: int | None = None
        # When the leader began its request, of the monotonic clock; 0 where it waits for one.
        self._since = 0.0
        self._asleep: list[tuple[int, Lock]] = []
        self.quick = False
        """Whether somebody asked lately and no client was slow to send a body."""

    def begin(self) -> None:
        """This thread has a request. It leads, unless another one is at work that does."""
        me = get_ident()
        if self._leader != me:
            with self._lock:
                if self._leader is not None and self._since:
                    return
                self._leader = me
        self._since = time.monotonic()

    def hand_on(self) -> None:
        """This thread is going to wait: if it leads, another one does from here on."""
        me = get_ident()
        if self._leader == me:
            with self._lock:
                if self._leader == me:
                    self._lead_on()

    def end(self) -> None:
        """The request of this thread is answered. Returns when the thread is to take another one."""
        me = get_ident()
        if self._leader == me:
            self._since = 0.0
            return
        with self._lock:
            if self._leader is None:
                self._leader, self._since = me, 0.0
                return
            wake = Lock()
            wake.acquire()
            self._asleep.append((me, wake))
        wake.acquire()

    def watch(self) -> None:
        """Take the lead away from who is slow, and wake all when it is quiet, for ever."""
        seen = slow = time.monotonic()
        while True:
            busy = time.monotonic() - seen < 1
            self.quick = busy and time.monotonic() - slow > TRUST
            time.sleep(SLOW if busy else IDLE)
            since, now = self._since, time.monotonic()
            seen = since or seen
            if since and now - since > SLOW:
                with self._lock:
                    if self._since == since:
                        slow = now if self._reads(self._leader or 0) else slow
                        self._lead_on()
            elif self._asleep and now - seen > QUIET:
                self.wake()

    def wake(self) -> None:
        """Let all take requests. Who gets one where another leads goes to sleep again."""
        with self._lock:
            while self._asleep:
                self._asleep.pop()[1].release()

    def _lead_on(self) -> None:
        self._leader, self._since = None, 0.0
        if self._asleep:
            # Who fell asleep last: what it needs may still be in the processor's cache.
            self._leader, wake = self._asleep.pop()
            wake.release()


class _Request(threading.local):
    """What a thread knows of its request."""

    unread = False
    """Whether it has a body that nobody read. What is left of it is dropped, and the connection closed, when granian
    has the thread back.
    """


def lead(app: WSGIApplication, answering: Callable[[WSGIApplication], Answering], followers: Followers) -> Answering:
    """`answering` for an application, in the threads of `followers`."""
    request = _Request()

    def application(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        answer = app(environ, start)
        request.unread = _has_body(environ) and not isinstance(environ["wsgi.input"], BytesIO)
        if not isinstance(answer, list):
            # It is sent piece by piece, as the client reads.
            followers.hand_on()
        return answer

    answer = answering(application)

    def answered(protocol: Any, scope: dict[str, Any]) -> Any:
        followers.begin()
        if scope["REQUEST_METHOD"] in WRITING and not followers.quick:
            followers.hand_on()
        # What it raises granian answers with 500, for which it needs the thread.
        status = answer(protocol, scope)
        if not request.unread:
            # It may sleep for long, and granian keeps what it gave.
            scope.clear()
            followers.end()
        return status

    return answered


def _has_body(environ: dict[str, Any]) -> bool:
    return "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ


def follow(followers: Followers) -> None:
    """Let the threads of this process, which is a worker of granian's, be `followers`."""
    wrap = mp._wsgi_call_wrap
    mp._wsgi_call_wrap = lambda app, *given: lead(app, lambda led: wrap(led, *given), followers)
    threading.Thread(target=followers.watch, name="slow leaders", daemon=True).start()
