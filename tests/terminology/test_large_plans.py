"""With many concepts, a question reads what it is about, and not the whole code system, on either database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from apothecary.fhir.json import dumps
from apothecary.interactions.large_code_systems import LargeCodeSystem
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.terminology import stored
from apothecary.terminology.selection import Below, ChildOf, Holds, Selection
from benchmarks.terminology import code_system
from tests.store.reading import Reading

pytestmark = pytest.mark.slow

MANY = 20_000
LEAF, ROOT, FORM = "1000777", "1000007", Holds(frozenset({"form"}), frozenset({"3"}))
PAGE = 20


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    opened = open_store(Settings(database=database_url))
    resource = code_system(MANY)
    with opened.transaction() as transaction:
        written = Stored("CodeSystem", "drugs", 1, transaction.moment(), "R5", dumps(resource))
        transaction.write(written, "PUT", [stored.LargeCodeSystem(resource)])
    yield opened
    opened.close()


# What is selected, from where on, and what a page of it may read: thousands of instructions on SQLite, rows of one
# statement on PostgreSQL. A look at every concept takes 20,000 rows, and SQLite some 200 thousand instructions.
READ = [
    (Selection(("tablet",)), 0, 12, 1500),
    (Selection(("tablet", "acme")), 0, 12, 7000),
    # The products and packs have it, which stand behind the ingredients and products.
    (Selection(("pharma",), active=True), 0, 45, 7000),
    (Selection(("pharma",)), 2000, 45, 15_000),
    (Selection(("1000777",)), 0, 3, 1500),
    (Selection(("nothing",)), 0, 3, 1500),
    (Selection(conditions=(Below(ROOT, True),)), 0, 12, 1500),
    (Selection(conditions=(Below(LEAF, True),)), 0, 12, 1500),
    (Selection(conditions=(ChildOf(frozenset({ROOT})),)), 0, 12, 1500),
    (Selection(("tablet",), conditions=(Below(ROOT, True),)), 0, 45, 4500),
    (Selection(("1000777",), conditions=(FORM,)), 0, 45, 4500),
]


@pytest.mark.parametrize("known", [True, False], ids=["statistics", "none"])
def test_a_page_of_concepts_reads_no_more_than_it_needs(database_url: str, store: SqlStore, known: bool) -> None:
    """A database that was restored has no statistics until it finds the time to gather them. It may look at each
    concept then, a few times, and no more: what grows with the square is worse by thousands.
    """
    sqlite = database_url.startswith("sqlite")
    if not sqlite and not known:
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DELETE FROM pg_statistic")
            connection.execute("UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relkind IN ('r', 'i')")
    held = store.code_system("drugs")
    assert held is not None
    system = LargeCodeSystem(store, held)
    reading = Reading(store, database_url)
    for selection, offset, thousands, rows in READ:
        page, read = reading.of(lambda: system.page(selection, offset, PAGE))  # noqa: B023 (called at once)
        assert page is not None
        assert read <= (thousands if sqlite else rows if known else 5 * MANY), (selection, read)
        assert len(page.concepts) == PAGE or page.total is not None, selection
    for ask in (lambda: system.look("1000777"), lambda: system.parents_of("1019999"), lambda: system.find("none")):
        _, read = reading.of(ask)
        assert read <= 3, ask
