"""What is too large, too long or too slow is refused with the right status; each refusal is an OperationOutcome."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apothecary.app import Apothecary, create_app
from apothecary.errors import Busy
from apothecary.settings import Settings
from apothecary.store.contract import Transaction
from apothecary.store.open import open_store
from apothecary.store.postgresql import PostgresqlStore
from apothecary.store.sql import SqlStore
from apothecary.store.sqlite import SqliteStore
from apothecary.store.statements import Statement
from benchmarks.servers import apothecary, free_port, running, status
from tests.conformance.harness import told
from tests.databases import ENDLESS
from tests.waiting import PATIENCE, until

FHIR = {"Content-Type": "application/fhir+json"}
SUBSTANCE = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x"}}}


@contextmanager
def serving(url: str, **changes: Any) -> Iterator[FlaskClient]:
    settings = Settings(database=url, content="", **changes)
    app = create_app(settings)
    try:
        yield app.test_client()
    finally:
        store_of(app).close()


def store_of(app: Apothecary) -> SqlStore:
    store: SqlStore = app.service.store
    return store


def outcome(answer: TestResponse, status: int) -> dict[str, Any]:
    """The first issue of an answer that must be an OperationOutcome with `status`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert answer.json["resourceType"] == "OperationOutcome"
    issue: dict[str, Any] = answer.json["issue"][0]
    return issue


def transaction(count: int) -> dict[str, Any]:
    request = {"method": "POST", "url": "Substance"}
    return {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": SUBSTANCE, "request": request}] * count}


Case = tuple[dict[str, Any], Callable[[FlaskClient], TestResponse], int, str]
CASES: dict[str, Case] = {
    "body": (
        {"body_limit": 1000},
        lambda client: client.post("/fhir/Substance", data="{" + " " * 1000, headers=FHIR),
        413,
        "too-long",
    ),
    "form": (
        {"body_limit": 1000},
        lambda client: client.post("/fhir/Substance/_search", data={"code": "x" * 1000}),
        413,
        "too-long",
    ),
    "operation": (
        {"body_limit": 1000},
        lambda client: client.post("/fhir/Substance/$validate", data="{" + " " * 1000, headers=FHIR),
        413,
        "too-long",
    ),
    "entries": ({"bundle_limit": 3}, lambda client: client.post("/fhir", json=transaction(4)), 413, "too-long"),
    "clauses": (
        {"search_clause_limit": 3},
        lambda client: client.get("/fhir/Substance?code=a,b&code=c,d"),
        400,
        "too-costly",
    ),
    "query": ({"url_limit": 100}, lambda client: client.get("/fhir/Substance?code=" + "x" * 100), 414, "too-long"),
    "path": ({"url_limit": 100}, lambda client: client.get("/fhir/Substance/" + "x" * 100), 414, "too-long"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_over_a_limit_is_refused_and_what_is_not_is_answered(sqlite_database_url: str, name: str) -> None:
    limits, ask, status, code = CASES[name]
    with serving(sqlite_database_url, **limits) as client:
        issue = outcome(ask(client), status)
        assert issue["code"] == code
        assert str(next(iter(limits.values()))) in json.dumps(issue), "the limit is named"
    with serving(sqlite_database_url) as client:
        assert ask(client).status_code not in (status, 500)


def test_a_page_is_no_larger_than_the_limit_and_the_self_link_says_so(sqlite_database_url: str) -> None:
    with serving(sqlite_database_url, page_size_limit=3) as client:
        client.post("/fhir", json=transaction(5))
        page = client.get("/fhir/Substance?_count=100").json
        assert len([one for one in page["entry"] if one["search"]["mode"] == "match"]) == 3
        (self_link,) = [one["url"] for one in page["link"] if one["relation"] == "self"]
        assert "_count=3" in self_link


@contextmanager
def hurried(database_url: str) -> Iterator[SqlStore]:
    """A store on a database that was prepared without haste: only what never ends takes longer than its limit."""
    open_store(Settings(database=database_url)).close()
    store = open_store(Settings(database=database_url, request_seconds=0.5))
    yield store
    store.close()


def test_a_statement_that_runs_too_long_is_ended_and_answered_with_503(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hurried(database_url) as store, serving(database_url) as client:
        monkeypatch.setattr(store_of(client.application), "rows", store.rows)
        assert until(lambda: client.get("/fhir/Substance?_id=1").status_code == 200)
        read = "/fhir/Substance/1"
        with monkeypatch.context() as patched:
            endless = Statement(ENDLESS, (), {})
            patched.setattr(store_of(client.application), "read", lambda *_: store.rows(endless, ()))
            answer = client.get(read)
        assert outcome(answer, 503)["code"] == "timeout"
        assert int(answer.headers["Retry-After"]) > 0
        assert until(lambda: client.get("/fhir/Substance?_id=1").status_code == 200), "the connection is of use again"


def test_a_statement_inside_a_transaction_is_bounded_too_and_nothing_of_it_is_kept(database_url: str) -> None:
    def work(transaction: Transaction) -> None:
        transaction.set_state("mark", "left behind")
        transaction.rows(Statement(ENDLESS, (), {}), ())  # type: ignore[attr-defined] # only a store of SQL has it

    with hurried(database_url) as store, pytest.raises(Busy, match="longer than the limit"):
        store.write(work)
    store = open_store(Settings(database=database_url))
    assert store.state("mark") is None
    store.close()


def test_when_every_connection_is_in_use_the_answer_is_503_and_says_when_to_come_back(
    postgresql_database_url: str,
) -> None:
    conninfo = postgresql_database_url.replace("+psycopg", "")
    store = PostgresqlStore(conninfo, connections=1)
    store.prepare()
    app = create_app(Settings(database=postgresql_database_url, content=""), store)
    client = app.test_client()
    assert client.get("/readyz").status_code == 200
    # Only from here on: what a busy machine takes to connect is not what is asked.
    store._connections._pool.timeout = 0.2
    with store.connection():
        for path in ("/fhir/Substance/1", "/fhir/Substance?code=x", "/readyz"):
            answer = client.get(path)
            assert outcome(answer, 503)["code"] == "throttled"
            assert answer.headers["Retry-After"] == "1"
        assert client.get("/healthz").status_code == 200, "the process is alive; restarting it would help nobody"
    assert until(lambda: client.get("/readyz").status_code == 200)
    store.close()


def test_a_writer_that_waits_too_long_for_another_is_answered_with_503(sqlite_database_url: str) -> None:
    open_store(Settings(database=sqlite_database_url)).close()
    path = sqlite_database_url.removeprefix("sqlite:///")
    holder, waiting = SqliteStore(path), SqliteStore(path, lock_seconds=0.2)
    app = create_app(Settings(database=sqlite_database_url, content=""), waiting)
    client = app.test_client()
    with holder.transaction():
        answer = client.post("/fhir/Substance", json=SUBSTANCE)
        assert outcome(answer, 503)["code"] == "throttled"
        assert answer.headers["Retry-After"] == "1"
        assert client.get("/fhir/Substance").status_code == 200, "readers do not wait for writers"
    assert client.post("/fhir/Substance", json=SUBSTANCE).status_code == 201
    holder.close()
    waiting.close()


def test_after_the_database_ended_its_connections_reads_and_writes_go_on(postgresql_database_url: str) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'apothecary'"
    with serving(postgresql_database_url) as client:
        created = client.post("/fhir/Substance", json=SUBSTANCE)
        with psycopg.connect(postgresql_database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"{end} AND datname = current_database()")
            assert client.get(f"/fhir/Substance/{created.json['id']}").status_code == 200
            connection.execute(f"{end} AND datname = current_database()")
        # Whether the write was done cannot be known, so it is the client's to try again.
        assert outcome(client.post("/fhir/Substance", json=SUBSTANCE), 503)["code"] == "transient"
        # There may be several connections, each of which is found to be dead once.
        assert until(lambda: client.post("/fhir/Substance", json=SUBSTANCE).status_code == 201)


def test_a_failure_of_the_server_has_an_id_that_its_log_knows_and_shows_nothing_else(
    sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(sqlite_database_url) as client:

        def fail(*_: object) -> None:
            raise RuntimeError("the secret plan")

        monkeypatch.setattr(store_of(client.application), "read", fail)
        for headers in ({}, {"X-Request-Id": "mine-1"}):
            answer = client.get("/fhir/Substance/1", headers=headers)
            issue = outcome(answer, 500)
            (number,) = answer.headers.getlist("X-Request-Id")
            assert number == headers.get("X-Request-Id", number)
            assert number in told(issue)
            assert number in caplog.text
            assert not any(word in answer.text for word in ("secret plan", "Traceback", "RuntimeError", ".py"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/fhir/Nothing", 404),
        ("GET", "/fhir/Substance/none", 404),
        ("GET", "/fhir//Substance", 404),
        ("DELETE", "/fhir/metadata", 405),
        ("TRACE", "/fhir/Substance", 405),
        ("PUT", "/healthz", 405),
        ("GET", "/fhir/Substance?code:wrong=x", 400),
        ("GET", "/fhir/Substance?_format=ttl", 406),
        ("POST", "/fhir/Substance", 415),
        ("GET", "/fhir/Substance/%00", 400),
        ("GET", "/fhir/Substance/%ff", 400),
    ],
)
def test_every_refusal_is_an_outcome(database_url: str, method: str, path: str, status: int) -> None:
    with serving(database_url) as client:
        answer = client.open(path, method=method)
        assert answer.status_code >= 400
        assert outcome(answer, answer.status_code)
        assert answer.status_code == status or (answer.status_code, status) == (400, 404)


def chunked(port: int, path: str, chunks: list[bytes]) -> tuple[int, bytes]:
    """Status and body of the answer to a POST whose body comes in chunks."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/fhir+json\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        # A server that has answered already need not take the rest.
        with suppress(BrokenPipeError, ConnectionResetError):
            for chunk in chunks:
                connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), rest.partition(b"\r\n\r\n")[2]


@pytest.mark.slow
def test_a_body_in_chunks_is_read_and_has_the_same_limit(
    sqlite_database_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APOTHECARY_BODY_LIMIT", "1000")
    port = free_port()
    with running(apothecary(port, tmp_path, sqlite_database_url, 1), port, "/readyz"):
        body = json.dumps(SUBSTANCE).encode()
        assert chunked(port, "/fhir/Substance", [body[:20], body[20:]])[0] == 201
        code, answer = chunked(port, "/fhir/Substance/$validate", [body[:20], body[20:]])
        assert (code, answer) == (200, answer)
        code, answer = chunked(port, "/fhir/Substance", [b" " * 900, b" " * 900])
        assert (code, b"OperationOutcome" in answer) == (413, True)


@contextmanager
def killed_at_the_end(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let nobody wait for a server that a failed test leaves running."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_request_under_way_is_answered_before_the_server_stops(postgresql_database_url: str, tmp_path: Any) -> None:
    port = free_port()
    answers: list[int] = []
    body = json.dumps(SUBSTANCE).encode()
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    url = postgresql_database_url.replace("+psycopg", "")
    with (
        subprocess.Popen(
            # Another one might still start, and wait for the lock itself.
            apothecary(port, tmp_path, postgresql_database_url, workers=1),
            start_new_session=True,
        ) as server,
        killed_at_the_end(server),
        psycopg.connect(url) as holder,
        psycopg.connect(url, autocommit=True) as observer,
    ):
        assert until(lambda: status(port, "/readyz") == 200 or server.poll() is not None)
        waiting = threading.Thread(target=lambda: answers.append(chunked(port, "/fhir/Substance", [body])[0]))
        holder.execute("LOCK TABLE resource IN ACCESS EXCLUSIVE MODE")
        waiting.start()
        assert until(lambda: observer.execute(waits).fetchall() == [(1,)]), "the request is under way"
        server.terminate()
        assert until(lambda: status(port, "/healthz") is None), "nobody is let in any more"
        assert answers == []
        holder.rollback()
        waiting.join(timeout=PATIENCE)
        assert server.wait(timeout=PATIENCE) == 0
    assert answers == [201]
