"""Chains and includes along canonical URLs, on both databases: https://hl7.org/fhir/R5/references.html#canonical"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, HERE, InProcess, table
from tests.databases import session_database

# Longer than the index keeps an address whole.
WORLD = json.loads((HERE / "canonical.json").read_text().replace("LONG", "x" * 250))
SEARCHES = [(query, found) for section in table("canonical.yaml").values() for query, found in section.items()]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over canonical.json, which the tests only read."""
    with session_database(request, tmp_path_factory) as url:
        settings = Settings(database=url, content="", resource_types="*")
        server = InProcess(settings, open_store(settings))
        headers = {"Content-Type": "application/fhir+json"}
        for one in WORLD:
            answer = server.ask("PUT", f"{BASE}/{one['resourceType']}/{one['id']}", headers, json.dumps(one))
            assert answer.status == 201, answer.body
        yield server
        server.store.close()


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=lambda one: one if isinstance(one, str) else "")
def test_a_search_finds_exactly_what_the_table_says(named: InProcess, query: str, expected: Any) -> None:
    answer = named.ask("GET", f"{BASE}/{quote(query, safe='?&=:*.')}")
    assert answer.status == 200, answer.body
    assert not [one for one in answer.json.get("entry", ()) if one["search"]["mode"] == "outcome"]
    if isinstance(expected, list):
        assert sorted(answer.ids) == expected
        assert answer.json["total"] == len(expected)
    elif "order" in expected:
        assert answer.ids == expected["order"]
    else:
        modes = [(one["search"]["mode"], one["resource"]["id"]) for one in answer.json["entry"]]
        assert sorted(identity for mode, identity in modes if mode == "include") == expected["include"]


def test_what_names_by_url_is_found_after_what_it_names_was_changed(named: InProcess) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    library = {**WORLD[2], "id": "lib-moved", "url": "http://ex.org/Library/before"}
    named.ask("PUT", f"{BASE}/Library/lib-moved", headers, json.dumps(library))
    query = f"{BASE}/Measure?depends-on:Library._id=lib-moved"
    assert named.ask("GET", query).ids == []
    library |= {"url": "http://ex.org/Library/doses", "version": "3.0"}
    named.ask("PUT", f"{BASE}/Library/lib-moved", headers, json.dumps(library))
    assert named.ask("GET", query).ids == ["ms-any", "ms-third"]
    assert named.ask("DELETE", f"{BASE}/Library/lib-moved").status in (200, 204)
    assert named.ask("GET", query).ids == []
