"""The index of words in the database: in step with the passages, used the way it is meant to be, and stable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from apothecary.search.predicates import And, Compare, Not, Or, Phrase, Resource, Row
from apothecary.search.query import Query
from apothecary.search.rows import TextRow, VocabularyRow
from apothecary.search.words import PASSAGE_WORDS, passages
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore


@pytest.fixture
def store(emptied_url: str) -> Iterator[SqlStore]:
    made = open_store(Settings(database=emptied_url))
    yield made
    made.close()


def write(store: SqlStore, identity: str, words: str, version: int = 1, parameter: str = "code") -> None:
    rows = [TextRow(parameter, words, len(words.split())), *(VocabularyRow(parameter, one) for one in words.split())]
    stored = Stored("Medication", identity, version, 1_700_000_000_000_000 + version, "R5", b"{}")
    with store.transaction() as transaction:
        transaction.write(stored, "PUT", rows)


def matching(*words: str, parameter: str = "code", prefix: bool = False) -> Query:
    return Query(
        {"Medication": Row("text", parameter, Compare("words", "matches", Phrase(words, prefix)))}, scored=True
    )


def ids(store: SqlStore, query: Query) -> list[str]:
    return [hit.id for hit in store.search(query).hits]


def test_a_word_is_found_in_its_own_parameter_only(store: SqlStore) -> None:
    write(store, "a", "oral tablet")
    write(store, "b", "oral capsule", parameter="form")
    assert ids(store, matching("oral")) == ["a"]
    assert ids(store, matching("oral", parameter="form")) == ["b"]
    assert ids(store, matching("oral", "tablet")) == ["a"]
    assert ids(store, matching("tab", prefix=True)) == ["a"]
    assert ids(store, matching("tab")) == []


def test_names_that_differ_in_signs_only_are_told_apart(store: SqlStore) -> None:
    write(store, "a", "oral", parameter="a-b")
    assert ids(store, matching("oral", parameter="a-b")) == ["a"]
    assert ids(store, matching("oral", parameter="a_b")) == []
    assert ids(store, matching("oral", parameter="ab")) == []


def test_the_mark_of_a_parameter_is_no_word_that_can_be_found(store: SqlStore) -> None:
    write(store, "a", "oral")
    assert ids(store, matching("medication", prefix=True)) == []
    assert ids(store, matching("code")) == []


def test_a_score_is_of_the_resource_alone(store: SqlStore) -> None:
    write(store, "a", "oral tablet of ten words or so more")
    before = store.search(matching("oral")).hits[0].score
    for number in range(30):
        write(store, f"b{number}", "oral")
    assert store.search(matching("oral")).hits[0].score == before == 1_000_000 * (8 + 1) // 16


@pytest.mark.parametrize("count", [0, 1500])
def test_few_and_many_matches_are_found_all_the_same(store: SqlStore, count: int) -> None:
    with store.transaction() as transaction:
        for number in range(count):
            stored = Stored("Medication", f"m{number:04}", 1, number, "R5", b"{}")
            transaction.write(stored, "PUT", [TextRow("code", f"oral n{number}", 2)])
    write(store, "z", "oral tablet")
    query = matching("oral")
    assert store.count(query) == count + 1
    assert ids(store, query) == [*(f"m{number:04}" for number in range(min(20, count))), *(["z"] if not count else [])]
    assert ids(store, matching("tablet")) == ["z"]


# Long enough for several passages.
FILLER = " ".join(f"filler{number}" for number in range(PASSAGE_WORDS + 50))
TEXTS = {
    "apart": f"sodium {FILLER} relief",
    "apart-and-more": f"sodium {FILLER} relief chloride",
    "beside": "sodium relief chloride",
    "far": f"{FILLER} sodium other relief",
    "neither": "calcium",
    "one": f"sodium {FILLER}",
    "other": f"{FILLER} relief",
}


@pytest.mark.parametrize(
    ("all_of", "found"),
    [
        (["sodium", "relief"], ["apart", "apart-and-more", "beside", "far"]),
        (["relief", "sodium"], ["apart", "apart-and-more", "beside", "far"]),
        (["sodium", "relief", "chloride"], ["apart-and-more", "beside"]),
        (["sod*", "rel*"], ["apart", "apart-and-more", "beside", "far"]),
        (["sodium", "calcium"], []),
        (["sodium relief", "chloride"], ["beside"]),
        (["filler9", "filler10049"], ["apart", "apart-and-more", "far", "one", "other"]),
    ],
)
def test_words_are_found_together_wherever_in_the_text_each_of_them_stands(
    filled: SqlStore, all_of: list[str], found: list[str]
) -> None:
    rows = [
        Row("text", "code", Compare("words", "matches", Phrase(tuple(one.rstrip("*").split()), one.endswith("*"))))
        for one in all_of
    ]
    query = Query({"Medication": And(tuple(rows))}, scored=True)
    assert ids(filled, query) == found
    assert filled.count(query) == len(found)
    # Beside something else, under a negation, and among alternatives.
    known = Resource(Compare("id", "in", tuple(TEXTS)))
    assert ids(filled, Query({"Medication": And((rows[0], known, *rows[1:]))})) == found
    assert ids(filled, Query({"Medication": And((known, Not(And(tuple(rows)))))})) == sorted(TEXTS.keys() - set(found))
    either = Or((And(tuple(rows)), Row("text", "code", Compare("words", "matches", Phrase(("calcium",))))))
    assert ids(filled, Query({"Medication": either})) == sorted([*found, "neither"])


@pytest.fixture
def filled(store: SqlStore) -> SqlStore:
    """With short texts and long ones."""
    with store.transaction() as transaction:
        for identity, text in TEXTS.items():
            stored = Stored("Medication", identity, 1, 1_700_000_000_000_000, "R5", b"{}")
            transaction.write(stored, "PUT", [TextRow("code", *one) for one in passages([text])])
    return store


def test_words_that_resemble_one_are_those_that_some_text_has_now(store: SqlStore) -> None:
    write(store, "a", "klonopin")
    write(store, "b", "clonidine")
    assert store.similar("Medication", "code", "klonipin") == [("klonopin", 500_000)]
    assert store.similar("Medication", "code", "klonopin") == [("klonopin", 1_000_000)]
    assert store.similar("Medication", "form", "klonopin") == []
    write(store, "a", "diazepam", version=2)
    assert store.similar("Medication", "code", "klonipin") == []
    write(store, "c", "klonopin")
    assert [word for word, _ in store.similar("Medication", "code", "klonipin")] == ["klonopin"]


def test_sqlite_keeps_words_and_passages_together(sqlite_database_url: str) -> None:
    store = open_store(Settings(database=sqlite_database_url))
    for version in (1, 2, 3):
        for identity in ("a", "b", "c"):
            write(store, identity, f"oral {identity} v{version}", version)
    with store.transaction() as transaction:
        transaction.write(Stored("Medication", "b", 4, 1_700_000_000_000_009, "R5", None), "DELETE", ())
    store.close()
    connection = sqlite3.connect(sqlite_database_url.removeprefix("sqlite:///"))
    connection.execute("VACUUM")
    # Raises DatabaseError where an index entry has no passage, or a passage no entry.
    connection.execute("INSERT INTO index_text_words (index_text_words, rank) VALUES ('integrity-check', 1)")
    assert connection.execute("SELECT count(*) FROM index_text").fetchone() == (2,)
    connection.close()
    again = open_store(Settings(database=sqlite_database_url))
    assert ids(again, matching("oral")) == ["a", "c"]
    assert ids(again, matching("v2")) == []
    again.close()


def test_sqlite_gathers_what_matches_once_and_scores_passages_as_they_stand(sqlite_database_url: str) -> None:
    store = open_store(Settings(database=sqlite_database_url))
    write(store, "a", "oral tablet")
    lines = store.explain(matching("oral"))
    # The scan of the words first, then their passages; the words of one passage need no index.
    assert any("VIRTUAL TABLE INDEX 0:M" in line for line in lines), lines
    assert any("USING INTEGER PRIMARY KEY (rowid=?)" in line for line in lines), lines
    assert sum("VIRTUAL TABLE" in line for line in lines) == 1, lines
    store.close()
