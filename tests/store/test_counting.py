"""A total is exact, or says that it is an estimate; and what cannot be put in order is refused."""

from __future__ import annotations

from collections.abc import Iterator

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
REGISTRY = Registry(FhirVersion.R5, ("Medication",))


@pytest.fixture
def client(database_url: str) -> Iterator[FlaskClient]:
    """Every fourth of the Medications is inactive, and every tenth has a form; all have one word in their texts."""
    store = open_store(Settings(database=database_url))
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
    yield create_app(Settings(database=database_url, content=""), store).test_client()
    store.close()


def told(client: FlaskClient, query: str) -> tuple[int | None, bool]:
    """The total of a search, and whether the answer says that it is an estimate."""
    answer = client.get(f"/fhir/Medication?{query}").json
    outcomes = [one["resource"] for one in answer["entry"] if one["search"]["mode"] == "outcome"]
    said = [issue["details"]["text"] for outcome in outcomes for issue in outcome["issue"]]
    return answer.get("total"), any("estimate" in one for one in said)


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
    if query != "status:not=active":  # no part of it can be counted
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
