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
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import writing
from apothecary.interactions.writing import LARGE, prepare
from apothecary.settings import Settings
from apothecary.store.contract import Transaction
from apothecary.store.open import open_store
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


def substance(length: int) -> dict[str, Any]:
    return {
        "resourceType": "Substance",
        "id": "a",
        "instance": False,
        "code": {"concept": {"text": "x" * length}},
        "description": "white",
    }


@pytest.fixture
def app(database_url: str) -> Iterator[Apothecary]:
    settings = Settings(database=database_url, content="", threads=1, request_seconds=PATIENCE)
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


def send(app: Apothecary, method: str, path: str, body: Any = None) -> Any:
    answer = Client(app).open(path, method=method, json=body, environ_base=LOCAL)
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def test_rows_are_made_beforehand_for_what_is_large_and_has_to_wait(app: Apothecary) -> None:
    small, large = substance(10), substance(LARGE)
    assert prepare(app.service, FhirVersion.R5, BASE, large) is None
    with others_writing(app):
        assert prepare(app.service, FhirVersion.R5, BASE, small) is None
        prepared = prepare(app.service, FhirVersion.R5, BASE, large)
        assert prepared is not None
        assert prepared.rows == app.service.registry(FhirVersion.R5).rows(large)


@pytest.mark.parametrize("method", ["PUT", "POST", "batch"])
def test_what_waited_is_found_by_a_parameter_that_came_meanwhile(
    method: str, app: Apothecary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LARGE", 0)
    large = substance(100)
    request = {"method": "PUT", "url": "Substance/a"}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": large, "request": request}]}
    waits = {
        "PUT": ("PUT", "/fhir/Substance/a", large),
        "POST": ("POST", "/fhir/Substance", large),
        "batch": ("POST", "/fhir", bundle),
    }[method]
    with ThreadPoolExecutor(2) as pool:
        with others_writing(app):
            defining = pool.submit(send, app, "PUT", "/fhir/SearchParameter/described", PARAMETER)
            assert until(lambda: app.gate._aside > 0)
            first = app.gate._aside
            waiting = pool.submit(send, app, *waits)
            assert until(lambda: app.gate._aside > first)
        defining.result(PATIENCE)
        waiting.result(PATIENCE)
    found = send(app, "GET", "/fhir/Substance?described=white")
    assert [one["resource"]["description"] for one in found["entry"] if one["search"]["mode"] == "match"] == ["white"]
