"""A page that would have to look at very much ends early, and its links lead to exactly what a look at each resource
finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.search.query import Cursor, Query
from apothecary.settings import Settings
from apothecary.store import plan
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from tests.conformance.harness import BASE, InProcess
from tests.conformance.walk import backwards, forwards
from tests.mass import much

TYPES = ("Medication", "Organization")
REGISTRY = Registry(FhirVersion.R5, TYPES)
MANY = 60
LOOKS = 7


def resources() -> Iterator[dict[str, Any]]:
    """Medications by halves, thirds and fifths; every seventh has no status, one alone no code."""
    for number in range(MANY):
        yield {
            "resourceType": "Medication",
            "id": f"m{number:02}",
            **({} if number % 7 == 0 else {"status": "active" if number % 2 else "inactive"}),
            **({} if number == 52 else {"code": {"text": f"common {'odd' if number % 2 else 'even'} n{number}"}}),
            **({"doseForm": {"coding": [{"code": "syrup"}], "text": "thick syrup"}} if number % 3 == 0 else {}),
            **({"batch": {"lotNumber": f"L{number % 5}"}} if number % 5 else {}),
        }
    for number in range(20):
        yield {
            "resourceType": "Organization",
            "id": f"o{number:02}",
            "active": number % 4 != 0,
            "name": f"maker {number}",
        }


DELETED = {"m21", "m52", "o08"}
KEPT = [one for one in resources() if one["id"] not in DELETED]
Pairs = Sequence[tuple[str, str]]


def code(one: dict[str, Any]) -> str:
    return str(one.get("code", {}).get("text", ""))


# What is asked, and the same as a look at one resource tells.
QUERIES: list[tuple[Pairs, Callable[[dict[str, Any]], bool]]] = [
    ([("status:missing", "true")], lambda one: "status" not in one),
    ([("code:missing", "true")], lambda one: "code" not in one),
    ([("status:not", "active")], lambda one: one.get("status") != "active"),
    ([("status:not", "active,inactive")], lambda one: "status" not in one),
    (
        [("status:not", "inactive"), ("form:missing", "false")],
        lambda one: one.get("status") != "inactive" and "doseForm" in one,
    ),
    ([("status", "active"), ("form", "syrup")], lambda one: one.get("status") == "active" and "doseForm" in one),
    (
        [("form:text", "thick"), ("code:text-advanced", "odd")],
        lambda one: "doseForm" in one and "odd" in code(one).split(),
    ),
    (
        [("status", "active,inactive"), ("lot-number:missing", "true")],
        lambda one: "status" in one and "batch" not in one,
    ),
    (
        [("status", "inactive"), ("lot-number", "L3")],
        lambda one: one.get("batch") == {"lotNumber": "L3"} and one.get("status") == "inactive",
    ),
    ([("_id:not", "m03")], lambda one: one["id"] != "m03"),
    ([("code:text-advanced", "odd NOT n41")], lambda one: "odd" in code(one) and one["id"] != "m41"),
]


def lot(one: dict[str, Any]) -> str | None:
    return str(one["batch"]["lotNumber"]) if "batch" in one else None


Key = Callable[[dict[str, Any]], str | None]
# What a page may be sorted by, key by key, the first of them ascending. Several keys are sorted whole.
SORTS: dict[str, Sequence[Key]] = {
    "": (),
    "_id": (lambda one: one["id"],),
    "_lastUpdated": (lambda one: one["id"],),
    "status": (lambda one: one.get("status"),),
    "lot-number": (lot,),
    "status,lot-number": (lambda one: one.get("status"), lot),
}


def in_order(found: list[dict[str, Any]], sort: str, *, descending: bool) -> list[str]:
    """The ids of resources by the keys of a sort: without a value last, equal ones as the first key goes."""
    found = sorted(found, key=lambda one: one["id"], reverse=descending and bool(sort))
    for number, key in reversed(list(enumerate(SORTS[sort]))):
        down = descending and number == 0
        held = sorted((one for one in found if key(one) is not None), key=lambda one: str(key(one)), reverse=down)
        if down:
            # To sort the other way round keeps what is equal as it was: so each value once.
            values = sorted({str(key(one)) for one in held}, reverse=True)
            held = [one for value in values for one in found if key(one) == value]
        found = [*held, *(one for one in found if key(one) is None)]
    return [one["id"] for one in found]


LIMITS = {"FEW": 1, "FEW_LINKED": 1, "VERY_FEW": 0, "TRIED": 1, "TRIED_FOR_A_HIT": 0, "LOOK": 1}


@pytest.fixture
def store(emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    for name, value in LIMITS.items():
        monkeypatch.setattr(plan, name, value)
    made = open_store(Settings(database=emptied_url))
    with made.transaction() as transaction:
        for number, one in enumerate(resources()):
            stored = Stored(one["resourceType"], one["id"], 1, 1000 + number, "R5", dumps(one))
            transaction.write(stored, "PUT", REGISTRY.rows(one))
    with made.transaction() as transaction:
        for one in DELETED:
            kind = "Medication" if one.startswith("m") else "Organization"
            transaction.write(Stored(kind, one, 2, 3000, "R5", None), "DELETE", ())
    yield made
    made.close()


@pytest.mark.mass
def test_the_pages_of_any_search_that_end_early_have_all_matches_once(store: SqlStore) -> None:
    early = 0

    @given(
        asked=st.sampled_from([([], lambda one: True), *QUERIES]),
        looks=st.integers(1, 30),
        count=st.integers(1, 9),
        back=st.booleans(),
        sort=st.sampled_from(list(SORTS)),
        descending=st.booleans(),
    )
    @settings(max_examples=much(40, 200), deadline=None, database=None)
    def follow(
        asked: tuple[Pairs, Callable[[dict[str, Any]], bool]],
        looks: int,
        count: int,
        back: bool,
        sort: str,
        descending: bool,
    ) -> None:
        nonlocal early
        pairs, meets = asked
        order = [("_sort", f"{'-' if descending else ''}{sort}")] if sort else []
        query = replace(parse(Context(REGISTRY, ("Medication",)), [*pairs, *order]).query, looks=looks, count=count)
        met = [one for one in KEPT if one["resourceType"] == "Medication" and meets(one)]
        expected = in_order(met, sort, descending=descending)
        found, stops = followed(store, query, back)
        early += stops if sort else 0
        assert found == (expected[::-1] if back else expected)
        # Who does not say how much may be looked at is given all.
        whole = store.search(replace(query, looks=None, count=MANY, memo={}))
        assert [hit.id for hit in whole.hits] == expected
        assert whole.stopped is None

    follow()
    assert early > much(10, 50), "pages do end early"


def followed(store: SqlStore, query: Query, back: bool) -> tuple[list[str], int]:
    """The ids on all pages of a query, from either end, and how many of them ended early."""
    found: list[str] = []
    stops = 0
    cursor = Cursor((), "", "", True) if back else None
    while True:
        page = store.search(replace(query, cursor=cursor, memo={}))
        hits = [hit.id for hit in page.hits]
        assert len(hits) <= query.count
        found += hits[::-1] if back else hits
        stops += page.stopped is not None
        if not (page.more_before if back else page.more_after):
            assert page.stopped is None
            return found, stops
        before = cursor
        last = page.hits[0 if back else -1] if hits else None
        cursor = page.stopped or Cursor(last.sort, last.type, last.id, back)  # type: ignore[union-attr] # more, and no stop
        assert before is None or (before.values, before.id) != (cursor.values, cursor.id), "it goes on"


@pytest.fixture
def server(store: SqlStore, emptied_url: str) -> InProcess:
    return InProcess(Settings(database=emptied_url, content="", page_look_limit=LOOKS), store)


def test_the_links_lead_to_all_matches_and_back(server: InProcess) -> None:
    for pairs, meets in QUERIES:
        expected = [one["id"] for one in KEPT if one["resourceType"] == "Medication" and meets(one)]
        asked = "&".join(f"{name}={value}" for name, value in pairs)
        pages = forwards(server, f"{BASE}/Medication?{asked}&_count=3")
        assert [one for page in pages for one in page.ids] == expected, asked
        if "last" in pages[0].links:
            back = backwards(server, server.ask("GET", pages[0].links["last"]))
            assert [one for page in reversed(back) for one in page.ids] == expected, asked
        # Also from a last page that is empty, and forwards again from where nothing comes before.
        back = backwards(server, pages[-1])
        assert [one for page in reversed(back) for one in page.ids] == expected, asked
        again = forwards(server, back[-1].links["self"])
        assert [one for page in again for one in page.ids] == expected, asked


def test_a_page_that_ends_early_says_so_and_claims_nothing(server: InProcess) -> None:
    first = server.ask("GET", f"{BASE}/Medication?code:missing=true")
    assert (first.status, first.ids) == (200, [])
    assert "total" not in first.json
    assert [issue["code"] for issue in told(first.json)] == ["incomplete"]
    assert "ends early" in told(first.json)[0]["details"]["text"]
    pages = forwards(server, f"{BASE}/Medication?code:missing=true")
    page = server.ask("GET", f"{BASE}/Medication?code:missing=true", {"accept": "text/html"})
    assert b">None so far found<" in page.body
    # PostgreSQL looks at a third as many.
    assert MANY // LOOKS < len(pages) < MANY
    assert not told(pages[-1].json)
    # Where nothing could be looked at in vain, nothing is said.
    assert not told(server.ask("GET", f"{BASE}/Medication?status=active&_count=2").json)


def test_where_no_more_was_asked_for_no_page_is_said_to_end_early(server: InProcess) -> None:
    found = server.ask("GET", f"{BASE}/Medication?status:not=active&_maxresults=1")
    assert (len(found.ids), "next" in found.links, told(found.json)) == (1, False, [])


def told(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The issues of a searchset."""
    outcomes = [one["resource"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "outcome"]
    return [issue for outcome in outcomes for issue in outcome["issue"]]


def test_pages_over_several_types_end_early_too(server: InProcess) -> None:
    pages = forwards(server, f"{BASE}?_type=Medication,Organization&_id:not=m05,o05&_count=3")
    kept = [one["id"] for one in KEPT if one["id"] not in ("m05", "o05")]
    assert [one for page in pages for one in page.ids] == kept
    pages = forwards(server, f"{BASE}?_type=Medication,Organization&_source:missing=false&_count=3")
    assert [one for page in pages for one in page.ids] == []


def test_in_another_order_pages_end_early_too_but_not_where_there_are_several_keys(server: InProcess) -> None:
    for sort in ("_id", "-_lastUpdated", "status", "-lot-number"):
        pages = forwards(server, f"{BASE}/Medication?code:missing=true&_sort={sort}")
        assert len(pages) > 1, sort
        assert [one for page in pages for one in page.ids] == [], sort
        assert [issue["code"] for page in pages for issue in told(page.json)] == ["incomplete"] * (len(pages) - 1), sort
    for sort in ("status,-lot-number", "-_lastUpdated,status"):
        found = server.ask("GET", f"{BASE}/Medication?code:missing=true&_sort={sort}")
        assert (found.ids, found.json["total"], told(found.json)) == ([], 0, []), sort


def test_of_what_changes_while_nothing_was_found_yet_the_newest_first_are_told(server: InProcess) -> None:
    first = server.ask("GET", f"{BASE}/Medication?code:missing=true&_sort=-_lastUpdated")
    assert (first.ids, "next" in first.links) == ([], True)
    medication = '{"resourceType": "Medication", "id": "m01"}'
    changed = server.ask("PUT", f"{BASE}/Medication/m01", {"content-type": "application/fhir+json"}, medication)
    assert changed.status == 200
    assert any("changed since" in one["details"]["text"] for one in told(server.ask("GET", first.links["next"]).json))


def test_what_decides_sees_all_matches_and_not_one_page(server: InProcess) -> None:
    """Conditional interactions: https://hl7.org/fhir/R5/http.html#cond-update"""
    medication = '{"resourceType": "Medication", "id": "m59", "status": "inactive"}'
    criteria = "code:text-advanced=n59&status=active"
    updated = server.ask("PUT", f"{BASE}/Medication?{criteria}", {"content-type": "application/fhir+json"}, medication)
    assert updated.status == 200
    headers = {
        "content-type": "application/fhir+json",
        "if-none-exist": "status:not=active,inactive&form:missing=false",
    }
    created = server.ask("POST", f"{BASE}/Medication", headers, '{"resourceType": "Medication"}')
    assert created.status == 412, "several match, far from each other"
