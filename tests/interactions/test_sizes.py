"""An answer is bounded in bytes, and what does not fit is on the next page or refused, never left out in silence.

https://hl7.org/fhir/R5/search.html#count
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import told

LIMIT, COUNT = 5000, 12


@pytest.fixture
def client(emptied_url: str) -> Iterator[FlaskClient]:
    """A server of twelve Organizations of about a kilobyte, each a part of the one before."""
    settings = Settings(database=emptied_url, content="", answer_limit=LIMIT)
    store = open_store(settings)
    found = create_app(settings, store).test_client()
    for number in range(COUNT):
        part = {"partOf": {"reference": f"Organization/o{number - 1:02}"}} if number else {}
        resource = {"resourceType": "Organization", "id": f"o{number:02}", "name": "x" * 1000, **part}
        assert found.put(f"/fhir/Organization/o{number:02}", json=resource).status_code == 201
    yield found
    store.close()


def walk(client: FlaskClient, address: str, relation: str = "next") -> list[list[str]]:
    """The ids on each page from an address on."""
    pages = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200
        assert len(answer.data) < 2 * LIMIT
        bundle = answer.json
        pages.append([one["resource"]["id"] for one in bundle.get("entry", ())])
        address = next((one["url"] for one in bundle["link"] if one["relation"] == relation), "")
    return pages


@pytest.mark.parametrize("query", ["_count=100", "_count=100&_sort=-_id", "_count=7&_sort=_lastUpdated", "_count=2"])
def test_pages_that_are_cut_hold_all_matches_together(client: FlaskClient, query: str) -> None:
    names = [f"o{number:02}" for number in range(COUNT)]
    pages = walk(client, f"/fhir/Organization?{query}")
    assert list(chain(*pages)) == (names[::-1] if "-_id" in query else names)
    assert max(map(len, pages)) == min(4, int(query[7:].partition("&")[0]))
    # And from the end to the beginning.
    first = client.get(f"/fhir/Organization?{query}").json
    last = next(one["url"] for one in first["link"] if one["relation"] == "last")
    backwards = walk(client, last, "previous")
    assert list(chain(*reversed(backwards))) == list(chain(*pages))


def test_a_history_is_cut_likewise(client: FlaskClient) -> None:
    pages = walk(client, "/fhir/Organization/_history?_count=100")
    assert list(chain(*pages)) == [f"o{number:02}" for number in reversed(range(COUNT))]
    assert max(map(len, pages)) == 4


def test_includes_that_are_too_much_are_refused(client: FlaskClient) -> None:
    address = "/fhir/Organization?_id=o11&_include=Organization:partof"
    assert len(client.get(address).json["entry"]) == 2
    answer = client.get(address.replace("_include", "_include:iterate"))
    assert (answer.status_code, answer.json["issue"][0]["code"]) == (400, "too-costly")
    assert "APOTHECARY_ANSWER_LIMIT" in told(answer.json["issue"][0])


def entries(*requests: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"request": {"method": method, "url": url}} for method, url in requests]


def test_a_bundle_is_answered_as_far_as_there_is_room(client: FlaskClient) -> None:
    asked = entries(*[("GET", "Organization?_count=3")] * 4, ("DELETE", "Organization/o11"))
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": asked}
    found = client.post("/fhir", json=bundle).json["entry"]
    assert [one["response"]["status"][:3] for one in found] == ["200", "200", "400", "400", "400"]
    assert "APOTHECARY_ANSWER_LIMIT" in json.dumps(found[-1])
    assert client.get("/fhir/Organization/o11").status_code == 200, "what is refused is not done"
    answer = client.post("/fhir", json={**bundle, "type": "transaction"})
    assert (answer.status_code, answer.json["issue"][0]["code"]) == (400, "too-costly")
    assert client.get("/fhir/Organization/o11").status_code == 200, "what is refused is not done"


def test_what_contains_the_matches_is_bounded_too(client: FlaskClient) -> None:
    for number in range(6):
        inside = {"resourceType": "Organization", "id": "i", "name": "inside"}
        body = {
            "resourceType": "Medication",
            "id": f"m{number}",
            "contained": [inside],
            "marketingAuthorizationHolder": {"reference": "#i"},
            "extension": [{"url": "http://example.org/x", "valueString": "x" * 1000}],
        }
        assert client.put(f"/fhir/Medication/m{number}", json=body).status_code == 201
    address = "/fhir/Organization?_contained=true&_containedType=contained&name=inside&_count="
    found = client.get(address + "3")
    assert [one["resource"]["name"] for one in found.json["entry"]] == ["inside"] * 3
    answer = client.get(address + "6")
    assert (answer.status_code, answer.json["issue"][0]["code"]) == (400, "too-costly")
    assert "APOTHECARY_ANSWER_LIMIT" in told(answer.json["issue"][0])


def test_as_many_as_one_likes_are_deleted_though_few_fit_into_memory(
    emptied_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apothecary.interactions.conditional.PIECE", 2500)
    settings = Settings(database=emptied_url, content="", conditional_delete="multiple", page_size_limit=12)
    store = open_store(settings)
    found = create_app(settings, store).test_client()
    for number in range(12):
        resource = {"resourceType": "Organization", "id": f"o{number:02}", "name": "x" * 1000, "active": number > 0}
        assert found.put(f"/fhir/Organization/o{number:02}", json=resource).status_code == 201
    assert found.delete("/fhir/Organization?active=true").status_code == 200
    assert [one["resource"]["id"] for one in found.get("/fhir/Organization").json["entry"]] == ["o00"]
    store.close()


def test_a_bundle_is_worked_on_no_longer_than_a_request_may_take(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    # A clock that goes on by ten seconds whenever it is looked at; the limit is thirty.
    monkeypatch.setattr("apothecary.interactions.turn.clock", lambda: 10 * next(ticks))
    asked = entries(*[("GET", "Organization?_id=none")] * 4, ("DELETE", "Organization/o11"))
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": asked}
    found = client.post("/fhir", json=bundle).json["entry"]
    assert [one["response"]["status"][:3] for one in found] == ["200", "200", "200", "503", "503"]
    issue = found[-1]["response"]["outcome"]["issue"][0]
    assert (issue["code"], issue["expression"]) == ("timeout", ["Bundle.entry[4]"])
    assert "APOTHECARY_REQUEST_SECONDS" in told(issue)


NEW = {"resourceType": "Organization", "name": "new", "partOf": {"reference": "Organization?_id=o00"}}
PATCH = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
LINKS = {"resourceType": "List", "status": "current", "mode": "working", "entry": [{"item": NEW["partOf"]}] * 20}


@pytest.mark.parametrize(
    "asked",
    [
        entries(*[("DELETE", f"Organization/o{number:02}") for number in range(11, 3, -1)]),
        entries(*[("DELETE", f"Organization?_id=o{number:02}") for number in range(11, 3, -1)]),
        [{"resource": NEW, "request": {"method": "PUT", "url": f"Organization?_id=n{one}"}} for one in range(8)],
        [
            {"resource": NEW, "request": {"method": "POST", "url": "Organization", "ifNoneExist": f"_id=n{one}"}}
            for one in range(8)
        ],
        [{"resource": PATCH, "request": {"method": "PATCH", "url": f"Organization/o{one:02}"}} for one in range(8)],
        [{"resource": LINKS, "request": {"method": "POST", "url": "List"}}],
        [{"resource": NEW, "request": {"method": "POST", "url": "Organization"}}] * 5,
        entries(*[("GET", "Organization?_id=none")] * 8),
    ],
    ids=["DELETE", "conditional DELETE", "conditional PUT", "ifNoneExist", "PATCH", "links", "POST", "GET"],
)
def test_a_transaction_is_given_up_in_time_whatever_it_does(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]
) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": asked}
    ticks, step = count(), 0
    monkeypatch.setattr("apothecary.interactions.turn.clock", lambda: step * next(ticks))
    before = client.get("/fhir/_history?_summary=count").json["total"]
    step = 5
    answer = client.post("/fhir", json=bundle)
    assert (answer.status_code, answer.json["issue"][0]["code"]) == (503, "timeout"), answer.json
    assert answer.headers["Retry-After"]
    assert answer.json["issue"][0]["expression"][0].startswith("Bundle.entry[")
    assert "APOTHECARY_REQUEST_SECONDS" in told(answer.json["issue"][0])
    assert client.get("/fhir/_history?_summary=count").json["total"] == before, "what is refused is not done"
    step = 0
    assert client.post("/fhir", json=bundle).status_code == 200
