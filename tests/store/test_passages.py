"""Writers that are committed together have their passages indexed in one go: each finds what is there when it asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import NamedTuple, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apothecary.search.predicates import Compare, Phrase, Row
from apothecary.search.query import Query
from apothecary.search.rows import TextRow
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Stored, Transaction
from apothecary.store.open import open_store
from apothecary.store.sqlite import SqliteStore
from apothecary.store.sqlite_connection import SqliteConnection
from tests.mass import much
from tests.store.test_writers import lined_up

IDS, WORDS = "abcd", ("oral", "tablet", "capsule")

Words = tuple[str, ...]
State = dict[str, tuple[int, Words]]
"""What stands: by id the version and the words of its passages, none for what was deleted."""


class Step(NamedTuple):
    """A write: the words of one passage each, none for a deletion; or where there is no id a search for all words."""

    id: str | None
    words: Words = ()


class Failed(Exception):
    """Work that is to be undone."""


STEPS = st.lists(
    st.one_of(
        st.builds(Step, st.sampled_from(IDS), st.lists(st.sampled_from(WORDS), max_size=3).map(tuple)),
        st.just(Step(None)),
    ),
    min_size=1,
    max_size=4,
)
_number = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    path = tmp_path_factory.mktemp("passages") / "apothecary.db"
    opened = cast("SqliteStore", open_store(Settings(database=f"sqlite:///{path}")))
    yield opened
    opened.close()


def found(reader: Reader, parameter: str) -> dict[str, list[str]]:
    """The ids that each word finds."""
    queries = {
        word: Query({"Medication": Row("text", parameter, Compare("words", "matches", Phrase((word,), False)))})
        for word in WORDS
    }
    return {word: sorted(hit.id for hit in reader.search(query).hits) for word, query in queries.items()}


class Work:
    """The work of one writer: some steps, and whether it fails after them. `parameter` is that of one example."""

    def __init__(self, parameter: str, steps: Sequence[Step], fails: bool) -> None:
        self.parameter, self.steps, self.fails = parameter, steps, fails
        self.seen: list[tuple[dict[str, list[str]], dict[str, list[str]]]] = []

    def expected(self, state: State) -> dict[str, list[str]]:
        return {
            word: sorted(f"{self.parameter}-{one}" for one, (_, words) in state.items() if word in words)
            for word in WORDS
        }

    def do(self, transaction: Transaction, state: State) -> None:
        """Raises Failed."""
        for step in self.steps:
            if step.id is None:
                self.seen.append((found(transaction, self.parameter), self.expected(state)))
                continue
            version = state.get(step.id, (0, ()))[0] + 1
            body = b"{}" if step.words else None
            stored = Stored("Medication", f"{self.parameter}-{step.id}", version, 1_700_000_000_000_000, "R5", body)
            rows = [TextRow(self.parameter, word, 1) for word in step.words]
            transaction.write(stored, "PUT" if step.words else "DELETE", rows)
            state[step.id] = version, step.words
        if self.fails:
            raise Failed


# What came last goes, with what came before it and is in the index already: new passages get its numbers.
LAST_GOES = [
    ([Step("a", ("oral",)), Step(None)], False),
    ([Step("b", ("tablet",))], False),
    ([Step("a"), Step("b", ("capsule", "oral"))], False),
]


@pytest.mark.mass
@example(LAST_GOES)
@given(st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=6))
@settings(max_examples=much(30, 400), deadline=None)
def test_words_find_what_stands_whatever_writers_of_a_group_write_search_and_undo(
    store: SqliteStore, works: list[tuple[list[Step], bool]]
) -> None:
    parameter, state = f"p{next(_number)}", State()
    made = [Work(parameter, steps, fails) for steps, fails in works]

    def working(work: Work) -> Callable[[Transaction], None]:
        def do(transaction: Transaction) -> None:
            tried = dict(state)
            work.do(transaction, tried)
            state.clear()
            state.update(tried)

        return do

    with lined_up(store) as line:
        for work in made:
            line.add(working(work))
    for outcome, work in zip(line.outcomes(), made, strict=True):
        assert isinstance(outcome, Failed) if work.fails else outcome is None, outcome
    for work in made:
        for seen, expected in work.seen:
            assert seen == expected
    assert found(store, parameter) == Work(parameter, (), False).expected(state)
    with sqlite3.connect(store.path) as connection:
        # Raises DatabaseError where an index entry has no passage, or a passage no entry.
        connection.execute("INSERT INTO index_text_words (index_text_words, rank) VALUES ('integrity-check', 1)")
    connection.close()


def test_a_group_of_writers_has_its_passages_indexed_by_one_statement(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[int] = []
    learn = SqliteConnection.learn

    def learning(connection: SqliteConnection) -> None:
        learnt.append(connection.execute("SELECT count(*) FROM index_text WHERE parameter = 'one'").fetchone()[0])
        learn(connection)

    def work(number: int) -> Callable[[Transaction], None]:
        stored = Stored("Medication", f"one-{number}", 1, 1_700_000_000_000_000, "R5", b"{}")
        return lambda transaction: transaction.write(stored, "POST", [TextRow("one", "oral", 1)], absent=True)

    monkeypatch.setattr(SqliteConnection, "learn", learning)
    with lined_up(store) as line:
        for number in range(5):
            line.add(work(number))
    assert line.outcomes() == [None] * 5
    assert learnt == [5]
    assert found(store, "one")["oral"] == [f"one-{number}" for number in range(5)]
