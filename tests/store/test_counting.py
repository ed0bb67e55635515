"""A total is exact, or says that it is an estimate; and what cannot be put in order is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.store import plan
from apothecary.store.contract import Stored
from apothecary.store.open import open_store

MANY = 400
# Large enough for whatever is asked here, unless a test says otherwise.
LIMIT = 40_000
REGISTRY = Registry(FhirVersion.R5, ("Medication",))


@pytest.fixture
def client(emptied_url: str) -> Iterator[FlaskClient]:
    """Every fourth of the Medications is inactive, and every tenth has a form; all have one word in their texts."""
    store = open_store(Settings(database=emptied_url))
    with store.transaction() as transaction:
        for number in range(MANY):
            resource = {
                "resourceType": "Medication",
                "id": f"m{number:03}",
                "status": "inactive" if number % 4 == 0 else "active",
                "code": {"text": f"common {'rare ' if number % 100 == 0 else ''}m{number}"},
                **({"doseForm": {"coding": [{"code": "syrup"}]}} if number % 10 == 0 else {}),
            }
            stored = Stored("Medication", f"m{number:03}", 1, 1000 + number, "R5", dumps(resource))
            transaction.write(stored, "PUT", REGISTRY.rows(resource))
    yield create_app(Settings(database=emptied_url, content="", total_limit=LIMIT), store).test_client()
    store.close()


def told(client: FlaskClient, query: str) -> tuple[int | None, bool]:
    """The total of a search, and whether the answer says that it is an estimate."""
    answer = client.get(f"/fhir/Medication?{query}").json
    outcomes = [one["resource"] for one in answer.get("entry", ()) if one["search"]["mode"] == "outcome"]
    said = [issue["details"]["text"] for outcome in outcomes for issue in outcome["issue"]]
    return answer.get("total"), any("estimate" in one for one in said)


def bounded(client: FlaskClient, limit: int) -> FlaskClient:
    """The same server, but for how far it counts."""
    service = client.application.service  # type: ignore[attr-defined] # of ours
    settings = replace(service.settings, total_limit=limit)
    return create_app(settings, service.store).test_client()


def relations(bundle: dict[str, Any]) -> dict[str, str]:
    return {one["relation"]: unquote(one["url"]) for one in bundle["link"]}


QUERIES = [
    ("status=inactive", 100),
    ("status=active", 300),
    ("status:not=active", 100),
    ("status=active&form:missing=true", 280),
    ("", 400),
]


@pytest.mark.parametrize(("query", "exact"), QUERIES)
def test_an_estimate_of_many_is_near_and_says_what_it_is(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, query: str, exact: int
) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 80)
    assert told(client, f"{query}&_total=accurate") == (exact, False)
    total, estimated = told(client, f"{query}&_total=estimate")
    assert total == exact, "what is asked for lies evenly in the order of ids"
    assert estimated == bool(query)


@pytest.mark.parametrize(("query", "exact"), QUERIES)
def test_where_a_total_is_cheap_an_estimate_is_exact(client: FlaskClient, query: str, exact: int) -> None:
    assert told(client, f"{query}&_total=estimate") == (exact, False)


def test_an_estimate_is_never_less_than_what_is_shown(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 2)
    # At neither end of the type is one that matches.
    assert told(client, "status:not=inactive&code:text=common&_id:not=m399&_count=5&_total=estimate") == (6, True)


def test_too_many_matches_are_not_put_in_order_by_how_well_they_match(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FEW", 3)
    monkeypatch.setattr(plan, "RANKED", 20)
    refused = client.get("/fhir/Medication?code:text-advanced=common&_sort=-_score")
    assert (refused.status_code, refused.json["issue"][0]["code"]) == (400, "too-costly")
    assert "more than 20 resources" in refused.json["issue"][0]["details"]["text"]
    assert refused.json["issue"][0]["expression"] == ["_sort"]
    for query, shown in (("common rare", 4), ("rare", 4), ("common m7", 1)):
        found = client.get(f"/fhir/Medication?code:text-advanced={query}&_sort=-_score").json
        assert sum(one["search"]["mode"] == "match" for one in found["entry"]) == shown, query
    # In another order they are all there.
    for sort in ("", "&_sort=status", "&_sort=status,-_score"):
        found = client.get(f"/fhir/Medication?code:text-advanced=common{sort}&_count=5").json
        assert sum(one["search"]["mode"] == "match" for one in found["entry"]) == 5, sort


def test_what_takes_more_to_count_than_is_allowed_is_estimated_and_says_so(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 80)
    limited = bounded(client, 90)
    for query, exact in QUERIES:
        answer = limited.get(f"/fhir/Medication?{query}&_total=accurate&_count=7").json
        assert answer["total"] == exact, "what is asked for lies evenly in the order of ids"
        if not query:  # a whole type is counted in one index
            continue
        outcome = next(one["resource"] for one in answer["entry"] if one["search"]["mode"] == "outcome")
        (issue,) = outcome["issue"]
        assert (issue["severity"], issue["code"], issue["expression"]) == ("warning", "too-costly", ["_total"])
        assert "90 entries" in issue["details"]["text"]
        # Every link asks for what really ran.
        links = relations(answer)
        assert all("_total=estimate" in url and "_total=accurate" not in url for url in links.values())
        for relation in ("self", "next", "last"):
            page = client.get(links[relation]).json
            assert (page["total"], len(shown(page))) == (exact, 7)
        page = limited.get(f"/fhir/Medication?{query}&_total=accurate&_count=7", headers={"Accept": "text/html"})
        assert f">About {exact} found<" in page.text
        # A page further on, whose own link must be one that can be followed.
        following = relations(client.get(f"/fhir/Medication?{query}&_total=accurate&_count=7").json)["next"]
        further = limited.get(following).json
        assert "_total=estimate" in relations(further)["self"]
        assert shown(client.get(relations(further)["self"]).json) == shown(further)


def shown(bundle: dict[str, Any]) -> list[str]:
    """The matches of a searchset."""
    return [one["fullUrl"] for one in bundle["entry"] if one["search"]["mode"] == "match"]


def test_what_takes_no_more_is_counted(client: FlaskClient) -> None:
    # To look at each of all 400 counts ten times.
    limited = bounded(client, 4000)
    for query, exact in QUERIES:
        assert told(limited, f"{query}&_total=accurate") == (exact, False), query


def test_a_count_alone_is_bounded_alike(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 80)
    limited, wider = bounded(client, 90), bounded(client, 4000)
    for query, exact in QUERIES:
        for asked in ("_summary=count", "_count=0"):
            answer = limited.get(f"/fhir/Medication?{query}&{asked}").json
            assert answer["total"] == exact
            assert ("_total=estimate" in relations(answer)["self"]) == bool(query)
            assert len(answer.get("entry", ())) == bool(query), "the warning is there"
            whole = wider.get(f"/fhir/Medication?{query}&{asked}").json
            assert (whole["total"], "entry" in whole, "_total" in relations(whole)["self"]) == (exact, False, False)
        estimate = client.get(f"/fhir/Medication?{query}&_summary=count&_total=estimate").json
        assert (estimate["total"], len(estimate.get("entry", ()))) == (exact, bool(query))


def test_what_is_estimated_is_never_said_to_be_none(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 2)
    limited = bounded(client, 1)
    for asked in ("_summary=count", "_total=accurate&_count=1", "_total=estimate&_summary=count"):
        assert told(limited, f"status:not=active,inactive&{asked}") in ((0, False), (1, True)), asked
    assert told(limited, "status:not=active,inactive&_summary=count") == (1, True)


def test_a_small_type_is_counted_however_common_the_words_are(client: FlaskClient) -> None:
    assert told(bounded(client, 4000), "code:text-advanced=c*&_total=accurate") == (400, False)
    assert told(bounded(client, 3000), "code:text-advanced=c*&_total=accurate") == (400, False), "by an exact estimate"


def test_what_decides_never_hangs_on_an_estimate(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 2)
    limited = bounded(client, 1)
    created = limited.post(
        "/fhir/Medication", json={"resourceType": "Medication"}, headers={"If-None-Exist": "status=active"}
    )
    assert created.status_code == 412
    alone = limited.delete("/fhir/Medication?code:text-advanced=m399")
    assert alone.status_code == 204
    assert limited.get("/fhir/Medication/m399").status_code == 410


def test_pages_over_several_types_are_counted_together(client: FlaskClient) -> None:
    counted = client.get("/fhir?_type=Medication,Organization&_summary=count&_id:not=m001").json
    assert counted["total"] == MANY - 1
