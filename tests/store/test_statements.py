"""What is remembered of statements is bounded by its size, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.settings import Settings
from apothecary.store import sqlite, statements
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.store.sqlite import SqliteStore

REGISTRY = Registry(FhirVersion.R5, ("Medication",))


@pytest.fixture
def store(emptied_url: str) -> Iterator[SqlStore]:
    opened = open_store(Settings(database=emptied_url, threads=2))
    with opened.transaction() as transaction:
        for number in range(3):
            resource = {"resourceType": "Medication", "id": f"m{number}", "meta": {"tag": [tag(number)]}}
            rows = REGISTRY.rows(resource)
            transaction.write(Stored("Medication", f"m{number}", 1, 1000, "R5", dumps(resource)), "PUT", rows)
    yield opened
    opened.close()


def tag(number: int) -> dict[str, Any]:
    return {"system": "http://x.y", "code": f"c{number}"}


def found(store: Any, one: int, other: int) -> list[str]:
    """The ids found by one shape of search: so many alternatives for each of two parameters."""
    asked = [",".join(f"http://x.y|c{number}" for number in range(count)) for count in (one, other)]
    query = parse(Context(REGISTRY, ("Medication",)), [("_tag", asked[0]), ("_tag", asked[1])]).query
    return sorted(hit.id for hit in store.search(query).hits)


def shapes(store: Any) -> None:
    for one in (1, 2, 5, 9, 15):
        for other in (3, 9, 15):
            assert found(store, one, other) == [f"m{number}" for number in range(min(one, other, 3))]


def test_statements_are_forgotten_where_their_texts_take_too_much(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "REMEMBERED", 30_000)
    shapes(store)
    kept = list(store.statements._known.values())
    assert kept
    assert sum(len(one.text) for one in kept) == store.statements._size <= 30_000


def test_a_statement_larger_than_the_bound_is_answered_and_forgotten(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "REMEMBERED", 10)
    shapes(store)
    assert not store.statements._known
    assert store.statements._size == 0


def test_no_connection_keeps_many_long_statements(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "LONG", 2_000)
    monkeypatch.setattr(sqlite, "LONG_KEPT", 20_000)
    shapes(store)
    with store.transaction() as transaction:
        shapes(transaction)
    assert any(len(one.text) > 2_000 for one in store.statements._known.values())
    if isinstance(store, SqliteStore):
        assert store._free
        assert all(one.long <= 20_000 for one in store._free)
        assert len(store._free) == 1
    else:
        prepared = "SELECT max(length(statement)) FROM pg_prepared_statements"
        ((longest,),) = store.rows(statements.Statement(prepared, (), {}), ())
        assert longest <= 2_100


@pytest.mark.parametrize(
    ("name", "value", "for_words"),
    [
        ("_tag", "http://x.y|c1", False),
        ("code:text", "a", False),
        ("code:text-advanced", "a", True),
        ("_content", "a", True),
        ("_has:Medication:ingredient:code:text-advanced", "a", True),
    ],
)
def test_what_asks_for_words_is_planned_for_them_on_postgresql(
    store: SqlStore, name: str, value: str, for_words: bool
) -> None:
    store.statements._known.clear()
    store.search(parse(Context(REGISTRY, ("Medication",)), [(name, value)]).query)
    asked = any(one.for_words for one in store.statements._known.values())
    assert asked is (for_words and not isinstance(store, SqliteStore))
