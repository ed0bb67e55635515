"""What of a write is done before its turn comes says the same as what is done in it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from werkzeug.test import Client

from apothecary.app import Apothecary, create_app
from apothecary.fhir.meta import stamp
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.writing import prepare
from apothecary.settings import Settings
from apothecary.store.contract import Transaction
from apothecary.store.open import open_store
from apothecary.store.writers import Line
from tests.waiting import PATIENCE, until

BASE = "http://localhost/fhir"
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
PARAMETER = {
    "resourceType": "SearchParameter",
    "id": "described",
    "url": "http://example.org/SearchParameter/described",
    "name": "described",
    "status": "active",
    "description": "What a substance is described as.",
    "code": "described",
    "base": ["Substance"],
    "type": "string",
    "processingMode": "normal",
    "expression": "Substance.description",
}


def substance() -> dict[str, Any]:
    return {
        "resourceType": "Substance",
        "id": "a",
        "instance": False,
        "code": {"concept": {"text": "x"}},
        "description": "white",
    }


@pytest.fixture
def app(emptied_url: str) -> Iterator[Apothecary]:
    settings = Settings(database=emptied_url, content="", threads=1, request_seconds=PATIENCE)
    store = open_store(settings)
    yield create_app(settings, store)
    store.close()


@contextmanager
def others_writing(app: Apothecary) -> Iterator[None]:
    """Another thread of the process writes until the block ends."""
    inside, goes_on = Event(), Event()

    def hold(_: Transaction) -> None:
        inside.set()
        assert goes_on.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(app.service.store.write, hold)
        try:
            assert inside.wait(PATIENCE)
            yield
        finally:
            goes_on.set()
        held.result(PATIENCE)


def in_line(app: Apothecary) -> int:
    """How many writes wait for another one."""
    store: Any = app.service.store
    line: Line = store._writers._line if store.sqlite else store._line
    return line.length


def send(app: Apothecary, method: str, path: str, body: Any = None) -> Any:
    answer = Client(app).open(path, method=method, json=body, environ_base=LOCAL)
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def test_what_is_sure_is_made_beforehand_and_other_writes_only_where_they_have_to_wait(app: Apothecary) -> None:
    one = substance()
    arguments = app.service, FhirVersion.R5, BASE, one, "a"
    surely = prepare(*arguments, sure=True)
    assert prepare(*arguments, sure=False) is None
    with others_writing(app):
        waiting = prepare(*arguments, sure=False)
    assert surely is not None
    assert surely == waiting
    assert surely.found == app.service.registry(FhirVersion.R5).rows(one)
    assert surely.text.stamped(3, 5) == stamp(one, "a", 3, 5)


@pytest.mark.parametrize("method", ["PUT", "POST", "batch of PUT", "batch of POST", "conditional PUT"])
def test_what_waited_is_found_by_a_parameter_that_came_meanwhile(method: str, app: Apothecary) -> None:
    one = substance()
    *_, verb = method.split()
    request = {"method": verb, "url": "Substance/a" if verb == "PUT" else "Substance"}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": one, "request": request}]}
    waits = {
        "PUT": ("PUT", "/fhir/Substance/a", one),
        "POST": ("POST", "/fhir/Substance", one),
        "conditional PUT": ("PUT", "/fhir/Substance?_id=a", one),
    }.get(method, ("POST", "/fhir", bundle))
    with ThreadPoolExecutor(2) as pool:
        with others_writing(app):
            defining = pool.submit(send, app, "PUT", "/fhir/SearchParameter/described", PARAMETER)
            assert until(lambda: in_line(app) == 1)
            waiting = pool.submit(send, app, *waits)
            assert until(lambda: in_line(app) == 2)
        defining.result(PATIENCE)
        waiting.result(PATIENCE)
    found = send(app, "GET", "/fhir/Substance?described=white")
    assert [one["resource"]["description"] for one in found["entry"] if one["search"]["mode"] == "match"] == ["white"]


def test_a_conditional_update_that_waited_changes_what_its_criteria_find(app: Apothecary) -> None:
    send(app, "PUT", "/fhir/Substance/b", substance() | {"id": "b", "description": "black"})
    changed = substance() | {"code": {"concept": {"text": "z"}}}
    del changed["id"]
    with ThreadPoolExecutor(1) as pool:
        with others_writing(app):
            waiting = pool.submit(send, app, "PUT", "/fhir/Substance?_id=b", changed)
            assert until(lambda: in_line(app) == 1)
        assert waiting.result(PATIENCE)["id"] == "b"
    found = send(app, "GET", "/fhir/Substance?code:text=z")
    assert [one["resource"]["id"] for one in found["entry"]] == ["b"]
    assert send(app, "GET", "/fhir/Substance/b")["description"] == "white"
    assert "entry" not in send(app, "GET", "/fhir/Substance?code:text=x")
