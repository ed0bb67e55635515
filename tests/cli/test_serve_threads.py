"""One thread of a worker answers reads; whoever waits or is slow holds nobody up."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.cli.serve_threads import Answering, Followers, lead
from apothecary.rest.gate import Gate
from apothecary.settings import Settings
from tests.waiting import PATIENCE, until


class Pool:
    """granian's threads: one at first, and another one when a request finds none that waits, up to `most`."""

    def __init__(self, answer: Answering, most: int) -> None:
        self._answer, self._most = answer, most
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._idle = 0
        self.threads: list[threading.Thread] = []
        self._start()

    def _start(self) -> None:
        self.threads.append(threading.Thread(target=self._run, daemon=True))
        self.threads[-1].start()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            scope = self._requests.get()
            with self._lock:
                self._idle -= 1
            if scope is None:
                return
            try:
                self._answer(None, scope)
            except ZeroDivisionError:
                scope["failed"].set()

    def ask(self, scope: dict[str, Any]) -> None:
        self._requests.put(scope)
        with self._lock:
            more = self._requests.qsize() > self._idle and len(self.threads) < self._most
        if more:
            self._start()

    def end(self) -> None:
        for _ in self.threads:
            self._requests.put(None)


def wsgi(app: WSGIApplication) -> Answering:
    """What granian makes of an application, less what it sends."""
    return lambda _, scope: list(app(dict(scope), lambda *_: None))  # type: ignore[arg-type, return-value] # writes nothing


@contextmanager
def serving(
    work: Callable[[dict[str, Any]], Iterable[bytes] | None], most: int = 8, *, watched: bool = True
) -> Iterator[tuple[Pool, Followers]]:
    def app(environ: dict[str, Any], _: StartResponse) -> Iterable[bytes]:
        answer = work(environ)
        return [] if answer is None else answer

    followers = Followers()
    if watched:
        threading.Thread(target=followers.watch, daemon=True).start()
    pool = Pool(lead(app, wsgi, followers), most)
    try:
        yield pool, followers
    finally:
        followers.wake()
        pool.end()


def request(method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "wsgi.input": BytesIO(), "done": threading.Event()} | more


def done(*requests: threading.Event) -> bool:
    return all(one.wait(PATIENCE) for one in requests)


def test_reads_are_answered_by_one_thread_at_a_time() -> None:
    at_work: list[None] = []
    together: list[int] = []

    def work(environ: dict[str, Any]) -> None:
        at_work.append(None)
        together.append(len(at_work))
        time.sleep(0)  # lets go of the interpreter's lock, as SQLite does
        at_work.pop()
        environ["done"].set()

    # Nobody is taken for slow here, whatever else the machine does.
    with serving(work, 8, watched=False) as (pool, _):
        asked = [request() for _ in range(300)]
        events = [one["done"] for one in asked]
        for one in asked:
            pool.ask(one)
        assert done(*events)
    # Each thread that starts may answer one request beside the leader, and sleeps from then on; on a busy machine the
    # leader may answer several meanwhile. Without a leader nearly all would be answered beside others.
    assert len([count for count in together if count > 1]) <= 100


def test_threads_that_came_at_once_do_not_go_on_waking_each_other() -> None:
    """A server that has just begun, and is asked by many at once, has more threads at work than turns."""
    gate, handed_on = Gate(Settings(threads=2)), list[None]()

    def hand_on() -> None:
        handed_on.append(None)
        followers.hand_on()

    def work(environ: dict[str, Any]) -> None:
        gate.enter(environ)
        for _ in range(20):
            time.sleep(0)  # lets go of the interpreter's lock, as SQLite does at each row
        gate.leave()
        environ["done"].set()

    def client() -> None:
        for _ in range(each):
            one = request(PATH_INFO="/fhir/Medication")
            event = one["done"]
            pool.ask(one)
            assert done(event)

    clients, each = 8, 200
    with serving(work, 64, watched=False) as (pool, followers):
        gate.hand_on = hand_on
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    # It was nearly every second one when who had to wait for a turn handed on at once.
    assert len(handed_on) < clients * each / 4


@pytest.mark.parametrize("kind", ["slow", "waiting for its turn", "writing", "sent piece by piece"])
def test_who_waits_holds_nobody_up(kind: str) -> None:
    """With more of them than one, since the next leader may be held up as the first was."""
    free = threading.Event()

    def pieces(environ: dict[str, Any]) -> Iterator[bytes]:
        environ["begun"].set()
        free.wait(PATIENCE)
        environ["done"].set()
        yield b""

    def work(environ: dict[str, Any]) -> Iterable[bytes] | None:
        if environ["PATH_INFO"] == "/quick":
            environ["done"].set()
            return None
        if kind == "sent piece by piece":
            return pieces(environ)
        if kind == "waiting for its turn":
            followers.hand_on()
        environ["begun"].set()
        free.wait(PATIENCE)
        environ["done"].set()
        return None

    with serving(work) as (pool, followers):
        method = "POST" if kind == "writing" else "GET"
        held = [request(method, PATH_INFO="/held", begun=threading.Event()) for _ in range(5)]
        begun, over = [one["begun"] for one in held], [one["done"] for one in held]
        for one in held:
            pool.ask(one)
        assert done(*begun)
        for _ in range(20):
            quick = request(PATH_INFO="/quick")
            event = quick["done"]
            pool.ask(quick)
            assert done(event)
        assert not any(one.is_set() for one in over)
        free.set()
        assert done(*over)


def test_who_writes_leads_while_bodies_are_there_at_once_and_not_after_one_that_was_late() -> None:
    late, led = threading.Event(), list[bool]()
    reading: set[int] = set()

    def work(environ: dict[str, Any]) -> None:
        me = threading.get_ident()
        if environ["PATH_INFO"] == "/late":
            reading.add(me)
            late.wait(PATIENCE)
            reading.discard(me)
        elif environ["PATH_INFO"] == "/busy":
            time.sleep(0.001)
        else:
            led.append(followers._leader == me)
        environ["done"].set()

    followers = Followers(reading.__contains__)
    threading.Thread(target=followers.watch, daemon=True).start()
    pool = Pool(lead(lambda environ, _: work(environ) or [], wsgi, followers), 8)

    def send(path: str, method: str = "POST") -> threading.Event:
        one = request(method, PATH_INFO=path)
        event: threading.Event = one["done"]
        pool.ask(one)
        return event

    def busy_until(holds: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE
        while not holds() and time.monotonic() < end:
            assert done(send("/busy", "GET"))
        return holds()

    try:
        # At first nobody knows how long bodies take.
        assert done(send("/quick"))
        assert led == [False]
        assert busy_until(lambda: followers.quick)
        assert done(send("/quick"))
        assert led[-1]
        # One that is late holds up the others for a moment only, and from then on none of them leads.
        held = send("/late")
        assert done(send("/quick"))
        assert not held.is_set()
        assert busy_until(lambda: not followers.quick)
        assert done(send("/quick"))
        assert not led[-1]
        late.set()
        assert done(held)
        assert busy_until(lambda: followers.quick)
        # Where it is quiet, nobody looks often enough.
        assert until(lambda: not followers.quick)
    finally:
        late.set()
        followers.wake()
        pool.end()


def test_a_thread_with_a_body_that_nobody_read_is_given_back() -> None:
    """So that granian can close the connection: https://www.rfc-editor.org/rfc/rfc9112#section-9.6"""
    free = threading.Event()

    def work(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "GET":
            environ["done"].set()
            free.wait(PATIENCE)

    followers = Followers()
    answer = lead(lambda environ, _: work(environ) or [], wsgi, followers)
    leader = request()
    event = leader["done"]
    threading.Thread(target=answer, args=(None, leader), daemon=True).start()
    assert done(event)
    # Another one leads, so this thread would sleep.
    answer(None, request("POST", CONTENT_LENGTH="9") | {"wsgi.input": object()})
    free.set()


def test_threads_that_nobody_needs_are_given_back() -> None:
    def work(environ: dict[str, Any]) -> None:
        environ["done"].set()

    with serving(work, watched=False) as (pool, followers):
        asked = [request() for _ in range(300)]
        events = [one["done"] for one in asked]
        for one in asked:
            pool.ask(one)
        assert done(*events)
        followers.wake()
        pool.end()
        assert until(lambda: not any(thread.is_alive() for thread in pool.threads))


@given(st.lists(st.sampled_from(["quick", "handing on", "write", "fails", "unread"]), min_size=1, max_size=60))
def test_every_request_is_answered(kinds: list[str]) -> None:
    def work(environ: dict[str, Any]) -> None:
        if environ["kind"] == "handing on":
            followers.hand_on()
        if environ["kind"] == "fails":
            raise ZeroDivisionError
        environ["done"].set()

    with serving(work, 4, watched=False) as (pool, followers):
        events = []
        for kind in kinds:
            one = request("POST" if kind in ("write", "unread") else "GET", kind=kind, failed=threading.Event())
            if kind == "unread":
                one |= {"CONTENT_LENGTH": "1", "wsgi.input": object()}
            events.append(one["failed" if kind == "fails" else "done"])
            pool.ask(one)
        assert done(*events)
