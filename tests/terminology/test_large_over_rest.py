"""A large code system over REST: it is looked up in the store, by every process, and goes as its resource does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.cli import main
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.terminology import stored

Item = dict[str, Any]
URL = "http://example.org/drugs"


def code_system(*concepts: Item, **more: Any) -> Item:
    return {
        "resourceType": "CodeSystem", "id": "drugs", "url": URL, "version": "1", "status": "active",
        "content": "complete", "caseSensitive": True, "concept": [*concepts], **more,
    }  # fmt: skip


DRUGS = code_system(
    {"code": "n", "display": "Analgesics", "concept": [
        {"code": "n1", "display": "Paracetamol 500mg tablet"}, {"code": "n2", "display": "Ibuprofen 400mg tablet"}]},
    {"code": "r", "display": "Salbutamol inhaler"},
)  # fmt: skip
GERMAN = {
    "resourceType": "CodeSystem", "id": "german", "url": f"{URL}/de", "status": "active", "content": "supplement",
    "supplements": URL, "concept": [{"code": "n1", "designation": [{"language": "de", "value": "Schmerztablette"}]}],
}  # fmt: skip
ALL = {
    "resourceType": "ValueSet", "id": "all", "url": f"{URL}/all", "status": "active",
    "compose": {"include": [{"system": URL}]},
}  # fmt: skip


@pytest.fixture
def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    monkeypatch.setattr(stored, "LARGE", 2)
    opened = open_store(Settings(database=database_url))
    yield opened
    opened.close()


def server(database_url: str, store: SqlStore) -> FlaskClient:
    return create_app(Settings(database=database_url, content=""), store).test_client()


def expanded(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"/fhir/ValueSet/all/$expand?{query}")
    assert answer.status_code == 200, answer.text
    return [one["code"] for one in answer.json["expansion"].get("contains", ())]  # type: ignore[index]


def result(client: FlaskClient, path: str) -> Any:
    answer = client.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json["parameter"][0]["valueBoolean"]  # type: ignore[index]


def check(database_url: str) -> str:
    return CliRunner().invoke(main, ["check", "--database", database_url]).output


def test_it_is_asked_as_others_are(database_url: str, store: SqlStore) -> None:
    client = server(database_url, store)
    for one in (DRUGS, GERMAN, ALL):
        assert client.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one).status_code == 201
    assert store.code_system("drugs") is not None
    assert expanded(client, "filter=tab") == ["n1", "n2"]
    assert expanded(client, "filter=tab&count=1&offset=1") == ["n2"]
    assert expanded(client, f"filter=schmerz&includeDesignations=true&useSupplement={URL}/de") == ["n1"]
    lookup = client.get(f"/fhir/CodeSystem/$lookup?system={URL}&code=n1&property=parent").text
    assert "Paracetamol" in lookup
    assert "Analgesics" in lookup
    german = f"/fhir/CodeSystem/$lookup?system={URL}&code=n1&useSupplement={URL}/de"
    assert "Schmerztablette" in client.get(german).text
    assert result(client, f"ValueSet/all/$validate-code?system={URL}&code=n2") is True
    assert result(client, "CodeSystem/drugs/$validate-code?code=n9") is False
    for number, code in enumerate(("n1", "r")):
        medication = {
            "resourceType": "Medication",
            "id": f"m{number}",
            "code": {"coding": [{"system": URL, "code": code}]},
        }
        assert client.put(f"/fhir/Medication/m{number}", json=medication).status_code == 201
    for query, found in ((f"code:below={URL}|n", 1), (f"code:in={URL}/all", 2), (f"code:above={URL}|n2", 0)):
        answer = client.get(f"/fhir/Medication?{query}&_total=accurate")
        assert (answer.status_code, answer.json["total"]) == (200, found), query  # type: ignore[index]
    # What is read is what was written.
    assert json.loads(client.get("/fhir/CodeSystem/drugs").text)["concept"] == DRUGS["concept"]
    assert client.get("/fhir/CodeSystem?code=r&_summary=count").json["total"] == 1  # type: ignore[index]


def test_every_process_sees_what_one_writes(database_url: str, store: SqlStore) -> None:
    other = open_store(Settings(database=database_url))
    writer, reader = server(database_url, store), server(database_url, other)
    for one in (DRUGS, ALL):
        writer.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one)
    assert expanded(reader, "filter=ibu") == ["n2"]
    newer = code_system(*DRUGS["concept"], {"code": "x", "display": "Ibuprofen gel"})
    assert writer.put("/fhir/CodeSystem/drugs", json=newer).status_code == 200
    assert expanded(reader, "filter=ibu") == ["n2", "x"]
    tag = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "t"}]}}]}
    assert writer.post("/fhir/CodeSystem/drugs/$meta-add", json=tag).status_code == 200
    assert expanded(reader, "filter=ibu") == ["n2", "x"]
    # A small one takes its place, and a large one again.
    assert writer.put("/fhir/CodeSystem/drugs", json=code_system({"code": "y"})).status_code == 200
    assert expanded(reader, "") == ["y"]
    assert writer.put("/fhir/CodeSystem/drugs", json=DRUGS).status_code == 200
    assert expanded(reader, "excludeNested=true") == ["n", "n1", "n2", "r"]
    assert writer.delete("/fhir/CodeSystem/drugs").status_code == 204
    assert reader.get("/fhir/ValueSet/all/$expand").status_code == 400
    other.close()


def test_a_check_finds_concepts_that_are_not_those_of_the_resource(database_url: str, store: SqlStore) -> None:
    client = server(database_url, store)
    assert client.put("/fhir/CodeSystem/drugs", json=DRUGS).status_code == 201
    assert "CodeSystem" not in check(database_url)
    damages = {
        "DELETE FROM concept_property WHERE value = 'n'": "with 2 properties, of which 0 are there",
        "DELETE FROM concept WHERE code = 'r'": "has 4 concepts, of which 3 are there",
        "UPDATE code_system SET digest = 'x'": "has the concepts of another version",
        "DELETE FROM code_system": "lacks its concepts",
    }
    for damage, says in damages.items():
        with store.transaction() as transaction:
            transaction._cursor.execute(damage)
        assert says in check(database_url), damage
    assert "concept has rows of no code system" in check(database_url)
