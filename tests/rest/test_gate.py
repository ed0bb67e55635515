"""However many write, those who read are answered: writers wait in a line of their own, and have no turn meanwhile."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from werkzeug.test import Client, TestResponse

from apothecary.app import Apothecary, create_app
from apothecary.rest.gate import MANY, ONE, REST, Gate, writes
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import told
from tests.waiting import PATIENCE, until

LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
SUBSTANCE = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x"}}}
TAG = {"system": "http://example.org/tags", "code": "one"}
META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [TAG]}}]}
BATCH = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [{"resource": SUBSTANCE, "request": {"method": "POST", "url": "Substance"}}],
}
WRITERS = 8


@contextmanager
def serving(url: str, **changes: Any) -> Iterator[Apothecary]:
    settings = Settings(database=url, content="", request_seconds=PATIENCE, **changes)
    store = open_store(settings)
    try:
        yield create_app(settings, store)
    finally:
        store.close()


@contextmanager
def kept_from_writing(url: str) -> Iterator[None]:
    """Another process has what every writer needs, until the block ends. Readers do not need it."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
    else:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("LOCK TABLE resource IN EXCLUSIVE MODE")
            yield


def ask(app: Apothecary, method: str, path: str, body: Any = None) -> TestResponse:
    return Client(app).open(path, method=method, json=body, environ_base=LOCAL)


def test_readers_are_answered_while_more_writers_wait_than_there_are_threads(database_url: str) -> None:
    with serving(database_url, threads=1) as app, ThreadPoolExecutor(WRITERS) as pool:
        made = ask(app, "POST", "/fhir/Substance", SUBSTANCE).json["id"]
        with kept_from_writing(database_url):
            asked = [
                *[("POST", "/fhir/Substance", SUBSTANCE)] * 3,
                ("PUT", "/fhir/Substance/a", SUBSTANCE | {"id": "a"}),
                ("POST", "/fhir", BATCH),
                ("POST", "/fhir", BATCH | {"type": "transaction"}),
                ("POST", f"/fhir/Substance/{made}/$meta-add", META),
                ("PUT", "/fhir/Substance?_id=none", SUBSTANCE),
            ]
            waiting = [pool.submit(ask, app, *one) for one in asked]
            assert until(lambda: app.gate._writing == WRITERS - 1)
            for method, path in (
                ("GET", f"/fhir/Substance/{made}"),
                ("GET", "/fhir/Substance"),
                ("POST", "/fhir/Substance/_search"),
                ("GET", "/readyz"),
            ):
                answer = Client(app).open(path, method=method, environ_base=LOCAL)
                assert answer.status_code == 200, answer.text
            assert not any(one.done() for one in waiting)
            assert f"\napothecary_writes {WRITERS - 1}\n" in Client(app).get("/metrics").text
        assert [one.result(PATIENCE).status_code for one in waiting] == [201, 201, 201, 201, 200, 200, 200, 201]
        assert ask(app, "GET", "/fhir/Substance?_summary=count").json["total"] == 8
    assert app.gate._writing == 0


def test_more_writes_than_may_wait_are_answered_with_503_and_readers_are_not(database_url: str) -> None:
    with serving(database_url, threads=1, write_queue=2) as app, ThreadPoolExecutor(2) as pool:
        with kept_from_writing(database_url):
            waiting = [pool.submit(ask, app, "POST", "/fhir/Substance", SUBSTANCE) for _ in range(2)]
            assert until(lambda: app.gate._writing == 2)
            for method, path in (("POST", "/fhir/Substance"), ("DELETE", "/fhir/Substance/a"), ("POST", "/fhir")):
                answer = ask(app, method, path, SUBSTANCE)
                assert answer.status_code == 503
                assert answer.headers["Retry-After"] == "1"
                issue = answer.json["issue"][0]
                assert "APOTHECARY_WRITE_QUEUE" in told(issue)
                assert issue["code"] == "throttled"
            assert ask(app, "GET", "/fhir/Substance").status_code == 200
        assert [one.result(PATIENCE).status_code for one in waiting] == [201, 201]
        assert ask(app, "POST", "/fhir/Substance", SUBSTANCE).status_code == 201


def test_what_is_answered_after_a_refusal_has_its_turns_and_its_room(sqlite_database_url: str) -> None:
    with serving(sqlite_database_url, threads=1, write_queue=1) as app:
        for _ in range(3):
            assert ask(app, "POST", "/fhir/Substance", {"resourceType": "Substance"}).status_code == 400
            assert ask(app, "POST", "/fhir/Substance", SUBSTANCE).status_code == 201
    assert (app.gate._writing, app.gate._held, app.gate._working) == (0, 0, {})


@pytest.mark.parametrize("encoded", [False, True])
def test_no_more_is_read_of_those_who_wait_than_one_body_may_hold(encoded: bool, sqlite_database_url: str) -> None:
    large = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x" * 600}}}
    with (
        serving(sqlite_database_url, threads=1, body_limit=1000) as app,
        ThreadPoolExecutor(3) as pool,
        kept_from_writing(sqlite_database_url),
    ):
        data = json.dumps(SUBSTANCE if encoded else large).encode()
        headers = {"Content-Type": "application/fhir+json"} | ({"Content-Encoding": "gzip"} if encoded else {})

        def send() -> int:
            body = gzip.compress(data) if encoded else data
            return Client(app).post("/fhir/Substance", data=body, headers=headers, environ_base=LOCAL).status_code

        waiting = [pool.submit(send) for _ in range(3)]
        # The second keeps its turn while it waits, so the third is not read.
        assert until(lambda: app.gate._writers.length == 1 and app.service.store.busy)
        assert ask(app, "GET", "/fhir/Substance").status_code == 200
    assert [one.result(PATIENCE) for one in waiting] == [201] * 3
    assert app.gate._aside == 0


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/fhir/Medication/1", False),
        ("HEAD", "/fhir/Medication", False),
        ("OPTIONS", "/fhir/Medication", False),
        ("POST", "/fhir/Medication", True),
        ("POST", "/fhir", True),
        ("POST", "/fhir/r4/", True),
        ("PUT", "/fhir/Medication", True),
        ("PATCH", "/fhir/Medication/1", True),
        ("DELETE", "/fhir/Medication/1", True),
        ("POST", "/fhir/Medication/_search", False),
        ("POST", "/fhir/_search", False),
        ("POST", "/fhir/Medication/$validate", False),
        ("POST", "/fhir/Medication/1/$meta-add", False),
    ],
)
def test_the_line_of_a_request_is_told_by_its_method_and_address(method: str, path: str, expected: bool) -> None:
    assert writes({"REQUEST_METHOD": method, "PATH_INFO": path}) is expected


def test_who_is_aside_gets_its_turn_back_though_others_had_it(sqlite_database_url: str) -> None:
    environ: Callable[[], dict[str, Any]] = lambda: {"REQUEST_METHOD": "GET", "PATH_INFO": "/fhir"}  # noqa: E731
    with serving(sqlite_database_url, threads=1) as app, ThreadPoolExecutor(1) as pool:

        def other() -> bool:
            entered = app.gate.enter(environ())
            app.gate.leave()
            return entered

        assert app.gate.enter(environ())
        try:
            with app.gate.aside():
                assert pool.submit(other).result(PATIENCE)
            blocked = pool.submit(other)
            assert until(lambda: app.gate._readers.length == 1)
        finally:
            app.gate.leave()
        assert blocked.result(PATIENCE)
        with app.gate.aside():
            assert app.gate._working == {}


def test_who_has_only_to_say_what_it_wrote_needs_no_turn_for_it_and_others_do(sqlite_database_url: str) -> None:
    def made(one: bool) -> dict[str, Any]:
        return {"REQUEST_METHOD": "DELETE", "PATH_INFO": "/fhir/Substance/a"} | ({ONE: True} if one else {})

    with serving(sqlite_database_url, threads=1) as app, ThreadPoolExecutor(1) as pool:
        gate, handed_on = app.gate, list[None]()
        gate.hand_on = lambda: handed_on.append(None)

        def other(one: bool) -> None:
            gate.enter(made(one))
            with gate.aside():
                pass
            gate.leave()

        for one in (True, False):
            for _ in range(2):
                gate.enter(made(one))
                with gate.aside():
                    # Who writes leads no more.
                    assert handed_on.pop() is None
                    pool.submit(other, one).result(PATIENCE)
                    assert gate._writers.length == 0
                assert gate._writers._free == (1 if one else 0)
                gate.leave()
                handed_on.clear()
                assert (gate._writers._free, gate._writing, gate._working) == (1, 0, {})


def test_where_turns_come_the_next_one_is_waited_for_before_another_is_told_to_take_requests_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, handed_on = Gate(Settings(threads=1)), list[None]()
    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": "/fhir/Substance/a"}

    def other() -> None:
        gate.enter(dict(asked))
        gate.leave()

    def waits_until(holds: Callable[[], bool]) -> None:
        """Another one waits for the turn of this thread, which has it until then."""
        waiting = pool.submit(other)
        assert until(holds)
        gate.leave()
        waiting.result(PATIENCE)

    gate.hand_on = lambda: handed_on.append(None)
    with ThreadPoolExecutor(1) as pool:
        # The turn came in this moment, and is over soon, however long that is on a busy machine.
        with monkeypatch.context() as patched:
            patched.setattr("apothecary.rest.gate.SOON", PATIENCE)
            gate.enter(dict(asked))
            waits_until(lambda: gate._readers.length == 1)
        assert handed_on == []
        # Where the turn is somebody's whose request takes long, nobody waits for it unheard.
        gate.enter(dict(asked))
        gate._read.append(float("-inf"))
        waits_until(lambda: handed_on == [None])
        # Nor where it was thought to be over soon.
        gate.enter(dict(asked))
        handed_on.clear()
        waits_until(lambda: handed_on == [None])


def test_who_rests_does_not_lead(sqlite_database_url: str) -> None:
    with serving(sqlite_database_url) as app:
        order: list[str] = []
        app.gate.rest = lambda _: order.append("rest")
        app.gate.hand_on = lambda: order.append("hand on")
        app.gate._read.extend([float("inf")] * MANY)
        assert ask(app, "POST", "/fhir/Substance", SUBSTANCE).status_code == 201
        assert order[:2] == ["hand on", "rest"]


def test_a_writer_rests_where_many_readers_came_just_before(sqlite_database_url: str) -> None:
    with serving(sqlite_database_url) as app:
        rested: list[float] = []
        app.gate.rest = rested.append
        assert ask(app, "POST", "/fhir/Substance", SUBSTANCE).status_code == 201
        assert ask(app, "GET", "/readyz").status_code == 200
        for number in range(1, MANY):
            # Another one each time, so that it is not given again, which takes a turn as well.
            assert ask(app, "GET", f"/fhir/Substance?_count={number}").status_code == 200
            assert ask(app, "POST", "/fhir/Substance", SUBSTANCE).status_code == 201
        assert rested == []
        assert ask(app, "GET", "/fhir/Substance").status_code == 200
        assert app.gate._read[0] > 0
        # As if they had come in this moment.
        app.gate._read.extend([float("inf")] * MANY)
        assert ask(app, "POST", "/fhir/Substance", SUBSTANCE).status_code == 201
        assert rested == [REST]
