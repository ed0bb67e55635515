"""A text is found by any part of it, on either database, whoever has it and however often it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from apothecary.store.statements import Statement

REGISTRY = Registry(FhirVersion.R5, ("CodeSystem", "Organization"))
# Of more than one piece, in which no piece has all threes.
LONG = " ".join(f"word{number}" for number in range(1500))


@pytest.fixture
def store(emptied_url: str) -> Iterator[SqlStore]:
    made = open_store(Settings(database=emptied_url))
    yield made
    made.close()


def write(store: SqlStore, identity: str, name: str, version: int = 1, *, alias: Sequence[str] = ()) -> None:
    resource = {"resourceType": "Organization", "id": identity, "name": name, "alias": list(alias)}
    put(store, resource, version)


def put(store: SqlStore, resource: dict[str, object], version: int = 1) -> None:
    kind, identity = str(resource["resourceType"]), str(resource["id"])
    stored = Stored(kind, identity, version, 1_700_000_000_000_000 + version, "R5", dumps(resource))
    with store.transaction() as transaction:
        transaction.write(stored, "PUT", REGISTRY.rows(resource))


def found(store: SqlStore, name: str, value: str, kind: str = "Organization") -> list[str]:
    query = parse(Context(REGISTRY, (kind,)), [(name, value)]).query
    ids = sorted(hit.id for hit in store.search(query).hits)
    assert store.count(query) == len(ids)
    return ids


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("oxicil", ["a", "b"]),
        ("AMOXI", ["a", "b"]),
        ("óxic", ["a", "b"]),
        ("n fort", ["b"]),
        ("te", ["b"]),
        ("t", ["b"]),
        ("+", ["c"]),
        ("50\\,1", ["c"]),
        ("lin\\|", []),
        ("oneill", ["d"]),
        ("ill jean", ["d"]),
        ("zq", []),
        ("ø", ["a", "b", "d"]),
        ("amoxicillin forte and more", []),
    ],
)
def test_a_part_of_a_name_is_found_without_case_accents_and_punctuation(
    store: SqlStore, part: str, expected: list[str]
) -> None:
    write(store, "a", "Amoxicillin")
    write(store, "b", "Ämoxicillin Forte")
    write(store, "c", "B+C 50,1")
    write(store, "d", "O'Neill, Jean-Paul")
    assert found(store, "name:contains", part) == expected


def test_a_part_of_a_long_text_is_found_wherever_it_stands(store: SqlStore) -> None:
    put(store, {"resourceType": "CodeSystem", "id": "long", "description": LONG})
    put(store, {"resourceType": "CodeSystem", "id": "other", "description": LONG[:-4] + " end"})
    for part in ("word0 word1", "word777 word778", "word1498 word", LONG[5000:5900]):
        assert found(store, "description:contains", part, "CodeSystem") == ["long", "other"], part
    assert found(store, "description:contains", "word1499", "CodeSystem") == ["long"]
    assert found(store, "description:contains", "word1500", "CodeSystem") == []


def test_a_part_of_a_uri_is_found_with_its_case(store: SqlStore) -> None:
    put(store, {"resourceType": "CodeSystem", "id": "a", "url": "http://example.org/Drugs/a_b"})
    assert found(store, "url:contains", "/Drugs/", "CodeSystem") == ["a"]
    assert found(store, "url:contains", "/drugs/", "CodeSystem") == []
    assert found(store, "url:contains", "a_b", "CodeSystem") == ["a"]
    assert found(store, "url:contains", "a%b", "CodeSystem") == []
    assert found(store, "_filter", 'url co "org/Dru"', "CodeSystem") == ["a"]


def test_what_nobody_has_any_more_is_not_found_and_what_somebody_has_again_is(store: SqlStore) -> None:
    write(store, "a", "klonopin", alias=["rivotril"])
    write(store, "b", "klonopin")
    assert found(store, "name:contains", "onop") == ["a", "b"]
    write(store, "a", "diazepam", 2)
    assert found(store, "name:contains", "onop") == ["b"]
    assert found(store, "name:contains", "otri") == []
    write(store, "a", "clonidine", 3, alias=["Rivotril"])
    assert found(store, "name:contains", "otri") == ["a"]
    assert found(store, "_filter", 'name co "otri"') == ["a"]


def test_contained_resources_are_found_by_parts_of_their_names(store: SqlStore) -> None:
    inside = {"resourceType": "Organization", "id": "i", "name": "Inner circle"}
    put(store, {"resourceType": "Organization", "id": "a", "contained": [inside], "name": "Outer"})
    query = parse(Context(REGISTRY, ("Organization",)), [("name:contains", "er ci"), ("_contained", "true")]).query
    assert len(store.search(query).hits) == 1


def test_a_part_that_many_have_is_found_as_one_that_few_have(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write(store, f"m{number:02}", f"common name {number}")
    write(store, "z", "rare name")
    expected = [f"m{number:02}" for number in range(20)]
    assert found_first(store, "mmon") == expected
    monkeypatch.setattr(plan, "FEW", 5)
    assert found_first(store, "mmon") == expected
    assert found(store, "name:contains", "are n") == ["z"]


def found_first(store: SqlStore, part: str) -> list[str]:
    query = parse(Context(REGISTRY, ("Organization",)), [("name:contains", part)]).query
    return [hit.id for hit in store.search(query).hits][:20]


def test_a_text_is_kept_once(store: SqlStore) -> None:
    for number in range(3):
        write(store, f"m{number}", "the same name")
        write(store, f"m{number}", "the same name", 2)
    assert list(map(tuple, store.rows(Statement("SELECT count(*) FROM spelling", (), {}), ()))) == [(1,)]
