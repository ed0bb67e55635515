"""No more of a page is read than an answer may hold, on both databases."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.search.query import Query
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Stored
from apothecary.store.limited import in_pieces, limited
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

REGISTRY = Registry(FhirVersion.R5, ("Medication", "Organization"))
EACH, COUNT, MOST = 150_000, 40, 400_000
KEPT = MOST // EACH + 1
"""With the third of 150,000 bytes there are more than 400,000."""


@pytest.fixture
def store(emptied_url: str) -> Iterator[SqlStore]:
    """Two types of twenty large resources each, the newest last."""
    opened = open_store(Settings(database=emptied_url, threads=4))
    with opened.transaction() as transaction:
        for number in range(COUNT):
            kind = "Organization" if number % 2 else "Medication"
            resource = {"resourceType": kind, "id": f"r{number:02}", "text": {"div": "x" * EACH}}
            body = dumps(resource)
            stored = Stored(kind, f"r{number:02}", 1, 1000 + number, "R5", body)
            transaction.write(stored, "PUT", REGISTRY.rows({**resource, "text": {}}))
    yield opened
    opened.close()


def query(text: str, *kinds: str) -> Query:
    pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in text.split("&") if one]
    return parse(Context(REGISTRY, kinds or ("Organization",)), pairs).query


PAGES = [
    ("_count=100", ("Organization",), ["r01", "r03", "r05"]),
    ("_count=3", ("Organization",), ["r01", "r03", "r05"]),
    ("_count=10&_sort=-_id", ("Organization",), ["r39", "r37", "r35"]),
    ("_count=100&_sort=-_id", ("Organization",), ["r39", "r37", "r35"]),
    ("_count=100&_sort=_lastUpdated", ("Medication", "Organization"), ["r00", "r01", "r02"]),
    ("_count=100&_sort=-_lastUpdated", ("Medication", "Organization"), ["r39", "r38", "r37"]),
    ("_count=100&_sort=name", ("Organization",), ["r01", "r03", "r05"]),
    ("_count=100", ("Medication", "Organization"), ["r00", "r02", "r04"]),
    ("_count=100&_lastUpdated=lt2020", ("Organization",), None),
]


def read(reader: Reader, text: str, kinds: tuple[str, ...]) -> list[str]:
    return [hit.id for hit in reader.search(query(text, *kinds), MOST).hits]


def test_a_search_reads_as_many_resources_as_fit_and_one_more(store: SqlStore) -> None:
    for text, kinds, expected in PAGES:
        found = read(store, text, kinds)
        assert len(found) == KEPT, text
        assert expected is None or found == expected, text
        with store.transaction() as transaction:
            assert read(transaction, text, kinds) == found, text
            # The transaction goes on after it.
            assert transaction.read("Organization", "r01") is not None


def test_a_history_reads_as_many_versions_as_fit_and_one_more(store: SqlStore) -> None:
    with store.transaction() as transaction:
        for reader in (store, transaction):
            for count in (3, 20, 100):
                assert [one.id for one in reader.history_of(None, count=count, most=MOST)] == ["r39", "r38", "r37"]
            assert [one.id for one in reader.history("Medication", "r00", count=100, most=MOST)] == ["r00"]


def test_of_many_keys_no_more_are_read_than_show_that_they_are_too_many(store: SqlStore) -> None:
    keys = [("Medication" if number % 2 == 0 else "Organization", f"r{number:02}") for number in range(COUNT)]
    assert len(store.read_many(keys, MOST)) == KEPT
    assert len(store.read_many(keys[::2][:5], MOST)) == KEPT
    # Of each type two are read, at least.
    assert len(store.read_many(keys[:8], MOST)) <= KEPT + 1
    assert len(store.read_many(keys)) == COUNT
    assert store.read_many([("Medication", "none")] * 30, MOST) == []


@pytest.mark.parametrize("count", [19, 100])
def test_a_page_of_many_large_resources_takes_the_memory_of_those_that_fit(store: SqlStore, count: int) -> None:
    wanted = query(f"_count={count}")
    store.search(wanted, MOST)
    tracemalloc.start()
    try:
        store.search(wanted, MOST)
        cut = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        store.search(wanted)
        whole = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert whole > COUNT / 2 * EACH
    # PostgreSQL gives one more, and the driver holds it twice for a moment.
    assert cut < (KEPT + 4) * EACH


def test_what_is_looked_at_in_pieces_is_all_there_and_never_all_at_once(store: SqlStore) -> None:
    keys = [("Medication" if number % 2 == 0 else "Organization", f"r{number:02}") for number in range(COUNT)]
    given = [*keys, ("Medication", "none"), ("Organization", "r00")]
    with store.transaction() as transaction:
        for reader in (store, transaction):
            assert sorted(one.id for one in in_pieces(reader, given, MOST)) == [
                f"r{number:02}" for number in range(COUNT)
            ]
    tracemalloc.start()
    try:
        assert sum(1 for _ in in_pieces(store, keys, MOST)) == COUNT
        # One piece is looked at while the next one comes.
        assert tracemalloc.get_traced_memory()[1] < (2 * KEPT + 4) * EACH
    finally:
        tracemalloc.stop()
    assert list(in_pieces(store, [])) == []


def test_all_of_a_type_are_read_though_few_fit_into_a_batch(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apothecary.store.sql.BATCH_BYTES", MOST)
    ids = [f"r{number:02}" for number in range(0, COUNT, 2)]
    assert [one.id for one in store.all_of_type("Medication")] == ids
    with store.transaction() as transaction:
        assert [one.id for one in transaction.all_of_type("Medication")] == ids


def test_two_rows_are_kept_whatever_they_hold_so_that_the_cut_is_seen() -> None:
    rows = [("a", b"x" * 10), ("b", b"x"), ("c", None)]
    assert limited(iter(rows), 5, (1,)) == rows[:2]
    assert limited(iter(rows), 11, (1,)) == rows
    assert limited(iter(rows[:1]), 5, (1,)) == rows[:1]
