"""With many resources, a search reads what it finds and not whole tables, on either database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import psycopg
import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from tests.databases import session_database
from tests.store.reading import Reading

pytestmark = pytest.mark.slow

MANY = 20_000
# PostgreSQL's words for reading a whole table, and SQLite's.
# What is remembered of the database are a few rows.
WHOLE = re.compile(r"Seq Scan on (?!state\b)\w+|SCAN (?:resource|superseded|index_\w+)(?! USING)")

SEARCHES = [
    "code=77",
    "code=http://example.org/drugs|77",
    "code=77&_sort=-_lastUpdated",
    "status=active&code=77",
    "ingredient.code=77",
    "ingredient.code=77&_sort=_lastUpdated",
    "_has:Medication:ingredient:code=77",
]


def resources() -> Iterator[dict[str, object]]:
    """Medications, each of which is the ingredient of the next. One in thirteen is a syrup, of the others the second
    half are tablets, and that half is inactive. All expire on one day, and all names begin with one word.
    """
    for number in range(MANY):
        code = {"coding": [{"system": "http://example.org/drugs", "code": str(number)}]}
        ingredient = [{"item": {"reference": {"reference": f"Medication/m{number - 1}"}}}]
        form = number % 13 == 0 or number >= MANY // 2
        yield {
            "resourceType": "Medication",
            "id": f"m{number}",
            "meta": {"source": f"http://example.org/files/{number}"},
            "status": "active" if number < MANY // 2 else "inactive",
            "code": {**code, "text": f"common word{number % 50}"},
            "ingredient": ingredient,
            "batch": {"expirationDate": "2027-01-01"},
            **({"doseForm": {"coding": [{"code": "syrup" if number % 13 == 0 else "tablet"}]}} if form else {}),
        }


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, SqlStore]]:
    """A database and a store on it, which the tests only read."""
    with session_database(request, tmp_path_factory) as url:
        store = fill(url)
        yield url, store
        store.close()


def fill(database_url: str) -> SqlStore:
    store = open_store(Settings(database=database_url))
    loader = Loader(store, Settings(), lambda failure: pytest.fail(str(failure)), validation=False)
    load(loader, (read_bytes("m", json.dumps(one).encode(), "ndjson") for one in resources()))
    if not database_url.startswith("sqlite"):
        # As autovacuum does soon after; while it is at it, some tables are known and others are not.
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ANALYZE")
    return store


def explained(client: FlaskClient, query: str) -> str:
    answer = client.get(f"/fhir/Medication?{query}&_explain=true")
    assert answer.status_code == 200
    return json.dumps(answer.json).replace("\\n", "\n")


# Where what is excluded is taken from all there are, PostgreSQL may read both tables whole, and each step of its plan
# counts the rows again.
EACH = 6 * MANY

# The matches that a search shows, and what it may read: thousands of instructions on SQLite, rows on PostgreSQL. A look
# at each of the resources takes several times as many.
READ = [
    ("_lastUpdated=ge2000&_lastUpdated=lt2001", 0, 1, 10),
    ("code=77&_revinclude=Medication:ingredient", 1, 1, 20),
    ("code=77&_revinclude=Medication:*", 1, 1, 20),
    ("code=77&_revinclude=*", 1, 1, 20),
    ("code=" + ",".join(map(str, range(50))), 20, 20, 300),
    ("_id=" + ",".join(f"m{one}" for one in range(50)), 20, 20, 300),
    ("status=inactive&_sort=code", 20, 100, 5000),
    ("_has:Medication:ingredient:form=tablet", 20, 300, 14_000),
    # To count 2,000 of them PostgreSQL may list the index entries of all 10,000 first.
    ("ingredient.status=active", 20, 300, 17_000),
    ("status:not=active", 20, 8, 2500),
    ("form:missing=true", 20, 40, 3000),
    ("code:missing=true", 0, 800, EACH),
    ("status:not=active,inactive", 0, 800, EACH),
    ("code:missing=true&_sort=-_lastUpdated", 0, 1600, EACH),
    ("status:not=active&_total=accurate", 20, 350, EACH),
    ("_source:contains=les/777", 11, 5, 200),
    ("_source:contains=nowhere", 0, 1, 20),
    ("status=active&_total=estimate", 20, 500, 45_000),
    # However many have one value, an index has them in the order of a page.
    ("status=active&_sort=-expiration-date", 20, 120, 9000),
    ("status=active&_sort=expiration-date", 20, 120, 9000),
    ("_sort=-expiration-date", 20, 40, 3000),
    # What has a word is not listed, with what it must meet besides, where the walk along the resources finds it.
    ("code:text=common&_content=common", 20, 300, 25_000),
]


# The matches of a search where PostgreSQL knows nothing of what the tables hold, or of some of them: after a restore,
# or where they were empty when it looked.
UNKNOWN = [
    ("code=77", 1),
    ("status=active&code=77", 1),
    ("ingredient.code=77", 1),
    ("ingredient.form=syrup", 20),
    ("ingredient.form=syrup&code=1,2,3,14,27,40", 4),
    ("ingredient.status=active&code=1,2,3,14,27,40", 6),
    ("_has:Medication:ingredient:code=77", 1),
    ("code=77&_revinclude=Medication:ingredient", 1),
]
# Of tables as small as these it may take one index for another, for each type and each way to write a code; but not
# for each match.
FEW_TIMES = 5 * MANY


def shown_by(client: FlaskClient, query: str) -> int:
    """How many matches a search shows."""
    answer = client.get(f"/fhir/Medication?{query}")
    assert answer.status_code == 200, answer.json
    return sum(one["search"]["mode"] == "match" for one in answer.json.get("entry", ()))


def test_a_search_reads_no_more_than_it_needs(filled: tuple[str, SqlStore]) -> None:
    database_url, store = filled
    client = create_app(Settings(database=database_url, content=""), store).test_client()
    for query in SEARCHES:
        found = client.get(f"/fhir/Medication?{query}").json
        assert sum(one["search"]["mode"] == "match" for one in found["entry"]) == 1, query
        plan = explained(client, query)
        assert re.search("Index|USING", plan), "there is a plan to look at"
        # How many rows were read, only PostgreSQL tells.
        assert ("(actual rows=" in plan) == database_url.startswith("postgresql")
        assert WHOLE.findall(plan) == [], query
    reading = Reading(store, database_url)
    for query, matches, thousands, rows in READ:
        shown, read = reading.of(lambda: shown_by(client, query))  # noqa: B023 (called at once)
        assert shown == matches, query
        assert read <= (thousands if database_url.startswith("sqlite") else rows), query
    for table in () if database_url.startswith("sqlite") else ("%", "index_token%", "index_reference%"):
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ANALYZE")
            named = "(SELECT oid FROM pg_class WHERE relname LIKE %s AND relnamespace = 'public'::regnamespace)"
            connection.execute(f"DELETE FROM pg_statistic WHERE starelid IN {named}", [table])
            connection.execute(f"UPDATE pg_class SET reltuples = -1 WHERE oid IN {named}", [table])
        for query, matches in UNKNOWN:
            shown, read = reading.of(lambda: shown_by(client, query))  # noqa: B023 (called at once)
            assert shown == matches, query
            assert read <= FEW_TIMES, (table, query)
    if not database_url.startswith("sqlite"):
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ANALYZE")
    assert "INTERSECT" in explained(client, "status=active&form=tablet"), "what both have in common is listed"
    assert client.get("/fhir/Medication?status=active&form=tablet&_total=accurate").json["total"] == 0
    assert WHOLE.findall("->  Seq Scan on resource  (cost")
    assert WHOLE.findall("SCAN index_token")


def test_the_last_page_of_what_many_have_is_read_from_its_end(filled: tuple[str, SqlStore]) -> None:
    database_url, store = filled
    client = create_app(Settings(database=database_url, content=""), store).test_client()
    (last,) = (
        one["url"] for one in client.get("/fhir/Medication?status=active").json["link"] if one["relation"] == "last"
    )
    address = last.removeprefix("http://localhost")
    client.get(address)
    shown, read = Reading(store, database_url).of(
        lambda: [one["resource"]["id"] for one in client.get(address).json["entry"]]
    )
    assert shown == sorted(f"m{number}" for number in range(MANY // 2))[-20:]
    assert read <= (5 if database_url.startswith("sqlite") else 200)


@pytest.mark.parametrize("query", ["status=active&form=syrup", "form=syrup&status=active"])
def test_of_two_common_values_a_search_walks_along_the_rarer_one(filled: tuple[str, SqlStore], query: str) -> None:
    database_url, store = filled
    client = create_app(Settings(database=database_url, content=""), store).test_client()
    answer = client.get(f"/fhir/Medication?{query}").json
    assert len(answer["entry"]) == 20
    statement = next(line for line in explained(client, query).split("\n") if line.startswith("Medication: SELECT"))
    walked = re.findall(r"parameter(?: \|\| ''\))? = '([\w-]+)'", statement)
    assert walked[:2] == ["form", "status"]
