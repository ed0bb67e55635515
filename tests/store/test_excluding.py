"""What little is left of a type, without what much of it has, is listed: the same as a look at each resource finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.settings import Settings
from apothecary.store import plan
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

REGISTRY = Registry(FhirVersion.R5, ("Medication",))
MANY = 40


@pytest.fixture
def store(emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """Medications without a status: m07, m17 (deleted) and m27; inactive are m05, m15, m25, m35; the rest is active."""
    monkeypatch.setattr(plan, "TRIED", 0)
    monkeypatch.setattr(plan, "TRIED_FOR_A_HIT", 1)
    made = open_store(Settings(database=emptied_url))
    with made.transaction() as transaction:
        for number in range(MANY):
            status = {5: {"status": "inactive"}, 7: {}}.get(number % 10 if number != 37 else 0, {"status": "active"})
            resource = {"resourceType": "Medication", "id": f"m{number:02}", **status}
            stored = Stored("Medication", f"m{number:02}", 1, 1000 + number, "R5", dumps(resource))
            transaction.write(stored, "PUT", REGISTRY.rows(resource))
    with made.transaction() as transaction:
        transaction.write(Stored("Medication", "m17", 2, 3000, "R5", None), "DELETE", ())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([("status:missing", "true")], ["m07", "m27"]),
        ([("status:not", "active")], ["m05", "m07", "m15", "m25", "m27", "m35"]),
        ([("status:not", "active,inactive")], ["m07", "m27"]),
        ([("status:not", "active"), ("status:not", "inactive")], ["m07", "m27"]),
        ([("status:not", "active"), ("status:missing", "false")], ["m05", "m15", "m25", "m35"]),
        ([("status:not", "active"), ("_sort", "-_lastUpdated")], ["m35", "m27", "m25", "m15", "m07", "m05"]),
        ([("status:not", "active"), ("_sort", "-_id")], ["m35", "m27", "m25", "m15", "m07", "m05"]),
        ([("status:missing", "true"), ("form:missing", "false")], []),
    ],
)
def test_what_is_left_is_found_in_order(store: SqlStore, asked: list[tuple[str, str]], expected: list[str]) -> None:
    query = parse(Context(REGISTRY, ("Medication",)), asked).query
    assert [hit.id for hit in store.search(query).hits] == expected
    assert store.count(query) == len(expected)
    assert any("EXCEPT" in line for line in store.explain(query)) or asked[-1] in (
        ("status:missing", "false"),
        ("form:missing", "false"),
    ), "it is listed"
