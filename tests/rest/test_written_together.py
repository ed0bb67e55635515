"""What several clients write at a time is committed together, and done by the thread of one of them. Each is who it is:
its rights, its record, its base, its outcome.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from apothecary.app import Apothecary, create_app
from apothecary.interactions.create import create
from apothecary.rest import current, writing
from apothecary.store.contract import Transaction
from apothecary.store.sqlite import SqliteStore
from apothecary.store.write import SqlTransaction
from tests.access.clients import BASE, Sender, bearer, ec_key, settings_for
from tests.waiting import PATIENCE, until

WRITER, READER = Sender(), Sender("reader", ec_key("reader"))
SUBSTANCE = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x"}}}
IN_R4 = {"resourceType": "Substance", "code": {"text": "x"}}
PATCH = [{"op": "add", "path": "/description", "value": "white {number}"}]
FHIR, JSON_PATCH = {"Content-Type": "application/fhir+json"}, {"Content-Type": "application/json-patch+json"}
META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "one"}]}}]}
Asked = tuple[str, str, Any, dict[str, str]]


def bundle(kind: str, *entries: tuple[str, str]) -> dict[str, Any]:
    requests = [{"request": {"method": method, "url": url}} for method, url in entries]
    made = [one | ({"resource": SUBSTANCE} if one["request"]["method"] == "POST" else {}) for one in requests]
    return {"resourceType": "Bundle", "type": kind, "entry": made}


# Every way to write, with what is asked for and the status for who may.
WAYS: dict[str, tuple[Asked, int]] = {
    "create": (("POST", "/fhir/Substance", SUBSTANCE, FHIR), 201),
    "conditional create": (("POST", "/fhir/Substance", SUBSTANCE, FHIR | {"If-None-Exist": "_id=none"}), 201),
    "update": (("PUT", "/fhir/Substance/new{number}", SUBSTANCE | {"id": "new{number}"}, FHIR), 201),
    "conditional update": (("PUT", "/fhir/Substance?_id=none", SUBSTANCE, FHIR), 201),
    "patch": (("PATCH", "/fhir/Substance/there", PATCH, JSON_PATCH), 200),
    "delete": (("DELETE", "/fhir/Substance/away{number}", None, {}), 204),
    "$meta-add": (("POST", "/fhir/Substance/there/$meta-add", META, FHIR), 200),
    "transaction": (("POST", "/fhir", bundle("transaction", ("POST", "Substance"), ("POST", "Substance")), FHIR), 200),
}


@contextmanager
def serving(folder: Path, **changes: Any) -> Iterator[Apothecary]:
    WRITER.file(folder / "clients")
    READER.file(folder / "clients", ["system/*.rs"])
    given = {"audit": "store", "threads": 1, "request_seconds": PATIENCE} | changes
    app = create_app(settings_for(folder, f"sqlite:///{folder / 'a.db'}", **given))
    yield app
    app.service.store.close()


def headers_of(app: Apothecary) -> tuple[dict[str, str], dict[str, str]]:
    """Those with the token of who may write, and of who may not."""
    http = app.test_client()
    return bearer(WRITER.token(http, "system/*.cruds")), bearer(READER.token(http))


def ask(app: Apothecary, asked: Asked, headers: dict[str, str]) -> TestResponse:
    method, path, body, more = asked
    data = None if body is None else json.dumps(body)
    return Client(app).open(path, method=method, data=data, headers=headers | more)


def together(app: Apothecary, requests: Sequence[tuple[Asked, dict[str, str]]]) -> list[TestResponse]:
    """The answers to requests that stood in line at the same time, in this order as far as they did."""
    inside, goes_on = Event(), Event()
    store = app.service.store
    assert isinstance(store, SqliteStore)
    line = store._writers._line

    def hold(_: Transaction) -> None:
        inside.set()
        assert goes_on.wait(PATIENCE)

    with ThreadPoolExecutor(len(requests) + 1) as pool:
        # It is not brief, so the first request leads.
        held = pool.submit(store.write, hold)
        assert inside.wait(PATIENCE)
        answers = []
        try:
            for asked, headers in requests:
                before = line.length
                answers.append(pool.submit(ask, app, asked, headers))
                one = answers[-1]
                assert until(lambda before=before, one=one: line.length > before or one.done())  # type: ignore[misc] # called at once
        finally:
            goes_on.set()
        held.result(PATIENCE)
        return [one.result(PATIENCE) for one in answers]


def numbered(asked: Asked, number: int) -> Asked:
    method, path, body, more = asked
    text = json.dumps(body).replace("{number}", str(number))
    return method, path.replace("{number}", str(number)), json.loads(text), more


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["who may", "who may not"])
def test_each_writes_with_its_own_rights(way: str, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, status = WAYS[way]
    threads: list[int] = []
    write = SqlTransaction.flush

    def noting(transaction: SqlTransaction) -> None:
        if transaction.holding:
            threads.append(get_ident())
        write(transaction)

    monkeypatch.setattr(SqlTransaction, "flush", noting)
    with serving(tmp_path, audit="off") as app:
        may, may_not = headers_of(app)
        for number in range(4):
            assert ask(app, ("PUT", f"/fhir/Substance/away{number}", SUBSTANCE | {"id": f"away{number}"}, FHIR), may)
        assert ask(app, ("PUT", "/fhir/Substance/there", SUBSTANCE | {"id": "there"}, FHIR), may).status_code == 201
        threads.clear()
        order = [may, may_not] * 2 if first == "who may" else [may_not, may] * 2
        answers = together(app, [(numbered(asked, number), one) for number, one in enumerate(order)])
        assert [one.status_code for one in answers] == [status if one is may else 403 for one in order]
        # One thread did the work of both who may.
        if way != "$meta-add":
            assert len(threads) >= 2
            assert len(set(threads)) == 1


def test_each_is_worked_on_as_the_request_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[str, str, int]] = []

    def noting(service: Any, transaction: Any, version: Any, base: str, resource: Any, *more: Any) -> Any:
        noted.append((resource["description"], current.environ()["HTTP_AUTHORIZATION"], get_ident()))
        return create(service, transaction, version, base, resource, *more)

    monkeypatch.setattr(writing, "create", noting)
    with serving(tmp_path, audit="off") as app:
        http = app.test_client()
        tokens = [bearer(WRITER.token(http, "system/*.cruds")) for _ in range(4)]
        asked: list[Asked] = [("POST", "/fhir/Substance", SUBSTANCE | {"description": str(n)}, FHIR) for n in range(4)]
        answers = together(app, list(zip(asked, tokens, strict=True)))
    assert [one.status_code for one in answers] == [201] * 4
    assert [one[:2] for one in noted] == [(str(n), one["Authorization"]) for n, one in enumerate(tokens)]
    assert len({thread for *_, thread in noted}) == 1


def test_each_change_is_recorded_as_that_of_who_made_it(tmp_path: Path) -> None:
    others = [Sender(f"writer{number}", ec_key(f"writer{number}")) for number in range(4)]
    with serving(tmp_path) as app:
        for one in others:
            one.file(tmp_path / "clients")
        http = app.test_client()
        all_headers = [bearer(one.token(http, "system/*.cruds")) for one in others]
        answers = together(app, [(WAYS["create"][0], headers) for headers in all_headers])
        for one, answer in zip(others, answers, strict=True):
            assert answer.status_code == 201
            place = answer.headers["Location"].removeprefix(f"{BASE}/")
            assert app.service.store.read("Substance", place.split("/")[1]) is not None
            found = [
                json.loads(stored.body)
                for stored in app.service.store.all_of_type("AuditEvent")
                if place.encode() in (stored.body or b"")
            ]
            assert len(found) == 1
            assert one.id in json.dumps(found[0]["agent"])
            assert not any(other.id in json.dumps(found[0]["agent"]) for other in others if other is not one)


def test_each_is_answered_for_its_own_base_and_release(tmp_path: Path) -> None:
    with serving(tmp_path, audit="off") as app:
        may, _ = headers_of(app)
        bases = ["/fhir", "/fhir/r4", "/fhir/r5", "/fhir/r4b"]
        preferring = FHIR | {"Prefer": "return=representation"}
        bodies = [IN_R4 if base.startswith("/fhir/r4") else SUBSTANCE for base in bases]
        asked: list[Asked] = [
            ("POST", f"{base}/Substance", body, preferring if number % 2 else FHIR | {"Prefer": "return=minimal"})
            for number, (base, body) in enumerate(zip(bases, bodies, strict=True))
        ]
        answers = together(app, [(one, may) for one in asked])
        for number, (base, body, answer) in enumerate(zip(bases, bodies, answers, strict=True)):
            assert answer.status_code == 201
            assert answer.headers["Location"].startswith(f"{BASE.removesuffix('/fhir')}{base}/Substance/")
            if number % 2:
                assert json.loads(answer.data).items() >= body.items()
            else:
                assert answer.data == b""


def test_each_has_its_own_outcome(tmp_path: Path) -> None:
    """What fails for one reason or another leaves nothing of itself, and all of the others."""
    with serving(tmp_path, audit="off") as app:
        may, _ = headers_of(app)
        there = SUBSTANCE | {"id": "there"}
        assert ask(app, ("PUT", "/fhir/Substance/there", there, FHIR), may).status_code == 201
        lacking = {"resourceType": "Medication", "marketingAuthorizationHolder": {"reference": "Organization/none"}}
        asked: list[tuple[Asked, int]] = [
            (("POST", "/fhir/Substance", SUBSTANCE, FHIR), 201),
            (("PUT", "/fhir/Substance/there", there, FHIR | {"If-Match": 'W/"7"'}), 412),
            (("PUT", "/fhir/Substance/a", SUBSTANCE | {"id": "a"}, FHIR), 201),
            (("PATCH", "/fhir/Substance/none", PATCH, JSON_PATCH), 404),
            (("POST", "/fhir/Medication", lacking, FHIR), 422),
            (("PUT", "/fhir/Substance/b", SUBSTANCE | {"id": "b"}, FHIR), 201),
        ]
        answers = together(app, [(one, may) for one, _ in asked])
        assert [one.status_code for one in answers] == [status for _, status in asked]
        count = ask(app, ("GET", "/fhir/Substance?_summary=count", None, {}), may)
        assert json.loads(count.data)["total"] == 4
