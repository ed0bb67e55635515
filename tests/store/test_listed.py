"""One statement is made for all types, and is what would be made for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.search.query import Cursor, Query
from apothecary.settings import Settings
from apothecary.store import choosing, plan
from apothecary.store.contract import Stored
from apothecary.store.listing import Place
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.store.statements import Statements

TYPES = ("Basic", "Device", "Group", "Location", "Medication", "Organization", "Practitioner", "Substance")
REGISTRY = Registry(FhirVersion.R5, TYPES)
QUERIES = [
    "",
    "_lastUpdated=gt2020",
    "_lastUpdated=lt2100&_sort=-_lastUpdated",
    "_id=a,b&_tag=http://x.y|z",
    "_profile:missing=true&_sort=_id",
    "_content=word",
    "_content=word&_sort=_score",
    "_contained=both&_id=a",
]


@pytest.fixture
def store(emptied_url: str) -> Iterator[SqlStore]:
    opened = open_store(Settings(database=emptied_url, threads=4))
    with opened.transaction() as transaction:
        for kind in TYPES:
            resource = {"resourceType": kind, "id": "a", "text": {"div": "<div>word</div>"}}
            rows = REGISTRY.rows(resource)
            transaction.write(Stored(kind, "a", 1, 1000, "R5", dumps(resource)), "PUT", rows)
    yield opened
    opened.close()


def query(text: str) -> Query:
    pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in text.split("&") if one]
    return parse(Context(REGISTRY, TYPES), pairs).query


@pytest.mark.parametrize("text", QUERIES)
def test_it_reads_as_if_it_were_made_for_the_type(store: SqlStore, text: str) -> None:
    asked = query(text)
    compared = 0
    for kind, predicate in asked.predicates.items():
        listing = store.listing(asked, kind, predicate)
        for begin, place in (step for way in choosing.ways(store, listing, Place(), 5) for step in way.steps):
            statement, bound = store._statement(listing, begin, place, 5)
            own = Statements(store.statements.dialect).get("own", lambda at=(listing, begin, place): _page(store, *at))
            assert (statement.text, statement.names) == (own.text, own.names)
            assert bound == own.bind({**listing.values, **place.values, "limit": 5})
            compared += 1
    assert compared >= len(TYPES)


def _page(store: SqlStore, listing: object, start: object, place: Place) -> object:
    return plan.page(store.statements.dialect, listing, start, place)  # type: ignore[arg-type] # as they come


@pytest.mark.parametrize(
    "text", ["_tag=http://x.y|z", "_tag=http://x.y|z&_sort=-_lastUpdated", "_tag:not=http://x.y|z"]
)
def test_a_query_that_is_asked_again_remembers_its_statements_and_not_its_answer(
    store: SqlStore, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(query(text), predicates={"Device": query(text).predicates["Device"]}, memo={})
    before = len(store.search(asked).hits), store.count(asked)
    made = [store.listing(asked, "Device", asked.predicates["Device"])]
    monkeypatch.setattr(store, "listing", lambda *_: made.append(made[0]) or made[0])
    resource = {"resourceType": "Device", "id": "b", "meta": {"tag": [{"system": "http://x.y", "code": "z"}]}}
    with store.transaction() as transaction:
        transaction.write(Stored("Device", "b", 1, 2000, "R5", dumps(resource)), "PUT", REGISTRY.rows(resource))
    assert (len(store.search(asked).hits), store.count(asked)) == (before if ":not" in text else (1, 1))
    assert len(made) == 1


@pytest.mark.parametrize("text", ["_tag=http://x.y|z", "_profile=http://x.y/p"])
def test_a_page_that_an_index_gives_in_order_is_not_sorted_with_its_texts(store: SqlStore, text: str) -> None:
    asked = query(text)
    first = replace(asked, predicates={"Device": asked.predicates["Device"]}, memo={})
    if store.statements.dialect.name == "sqlite":
        assert not [line for line in store.explain(first) if "TEMP B-TREE" in line]
    resources = [
        {
            "resourceType": "Device",
            "id": one,
            "meta": {"tag": [{"system": "http://x.y", "code": "z"}], "profile": ["http://x.y/p"]},
        }
        for one in "bca"
    ]
    with store.transaction() as transaction:
        for one in resources:
            version = 2 if one["id"] == "a" else 1
            transaction.write(
                Stored("Device", str(one["id"]), version, 2000, "R5", dumps(one)), "PUT", REGISTRY.rows(one)
            )
    ids = [hit.id for hit in store.search(first).hits]
    assert ids == ["a", "b", "c"]
    backwards = replace(first, cursor=Cursor((), "", "", backwards=True), count=2, memo={})
    assert [hit.id for hit in store.search(backwards).hits] == ids[-2:]


# What asks for contained resources, too, says some of it twice, in more than one way.
@pytest.mark.parametrize("text", [one for one in QUERIES if "_contained" not in one])
def test_a_search_over_many_types_makes_as_many_statements_as_one_over_few(store: SqlStore, text: str) -> None:
    asked = query(text)
    few = dict(list(asked.predicates.items())[:2])
    other = Statements(store.statements.dialect)
    fresh, store.statements = store.statements, other
    try:
        store.search(Query(few, asked.sort, asked.count, scored=asked.scored))
        store.count(Query(few))
        assert len(other._known) > 0
        before = len(other._known)
        store.search(Query(asked.predicates, asked.sort, asked.count, scored=asked.scored))
        store.count(Query(asked.predicates))
        assert len(other._known) - before <= 2
    finally:
        store.statements = fresh
