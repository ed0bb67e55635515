"""With many resources, a search reads what it finds and not whole tables, on either database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

pytestmark = pytest.mark.slow

MANY = 20_000
# PostgreSQL's words for reading a whole table, and SQLite's.
WHOLE = re.compile(r"Seq Scan on \w+|SCAN (?:resource|version|index_\w+)(?! USING)")

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
    """Medications, each of which is the ingredient of the next; all are active, and one in thirteen is a syrup."""
    for number in range(MANY):
        code = {"coding": [{"system": "http://example.org/drugs", "code": str(number)}]}
        ingredient = [{"item": {"reference": {"reference": f"Medication/m{number - 1}"}}}]
        yield {
            "resourceType": "Medication",
            "id": f"m{number}",
            "status": "active",
            "code": code,
            "ingredient": ingredient,
            **({"doseForm": {"coding": [{"code": "syrup"}]}} if number % 13 == 0 else {}),
        }


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    store = open_store(Settings(database=database_url))
    loader = Loader(store, Settings(), lambda failure: pytest.fail(str(failure)), validation=False)
    load(loader, (read_bytes("m", json.dumps(one).encode(), "ndjson") for one in resources()))
    yield store
    store.close()


def explained(client: FlaskClient, query: str) -> str:
    answer = client.get(f"/fhir/Medication?{query}&_explain=true")
    assert answer.status_code == 200
    return json.dumps(answer.json).replace("\\n", "\n")


def test_no_search_with_a_selective_part_reads_a_whole_table(database_url: str, store: SqlStore) -> None:
    client = create_app(Settings(database=database_url, content=""), store).test_client()
    for query in SEARCHES:
        found = client.get(f"/fhir/Medication?{query}").json
        assert sum(one["search"]["mode"] == "match" for one in found["entry"]) == 1, query
        plan = explained(client, query)
        assert re.search("Index|USING", plan), "there is a plan to look at"
        # How many rows were read, only PostgreSQL tells.
        assert ("(actual rows=" in plan) == database_url.startswith("postgresql")
        assert WHOLE.findall(plan) == [], query
    assert WHOLE.findall("->  Seq Scan on resource  (cost")
    assert WHOLE.findall("SCAN index_token")


@pytest.mark.parametrize("query", ["status=active&form=syrup", "form=syrup&status=active"])
def test_of_two_common_values_a_search_walks_along_the_rarer_one(
    database_url: str, store: SqlStore, query: str
) -> None:
    client = create_app(Settings(database=database_url, content=""), store).test_client()
    answer = client.get(f"/fhir/Medication?{query}").json
    assert len(answer["entry"]) == 20
    statement = next(line for line in explained(client, query).split("\n") if line.startswith("Medication: SELECT"))
    walked = re.findall(r"parameter = '([\w-]+)'", statement)
    assert walked[:2] == ["form", "status"]
