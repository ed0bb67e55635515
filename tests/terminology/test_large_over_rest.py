"""A large code system over REST: it is looked up in the store, by every process, and goes as its resource does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.cli import main
from apothecary.content.sync import sync
from apothecary.interactions import large_code_systems
from apothecary.interactions.large_code_systems import LargeCodeSystem
from apothecary.settings import Settings
from apothecary.store import concepts as sql_concepts
from apothecary.store.concept_statements import numbers
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.store.statements import Statement
from apothecary.terminology import stored
from apothecary.terminology.selection import Among, Below, Condition, Holds, Selection

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
    return [one["code"] for one in answer.json["expansion"].get("contains", ())]  # type: ignore[index]  # an object


def result(client: FlaskClient, path: str) -> Any:
    answer = client.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json["parameter"][0]["valueBoolean"]  # type: ignore[index]  # an object


def check(database_url: str) -> str:
    return CliRunner().invoke(main, ["check", "--database", database_url]).output


def test_a_database_that_plans_by_statistics_has_them_at_once(
    postgresql_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LARGE", 2)
    opened = open_store(Settings(database=postgresql_database_url))
    assert server(postgresql_database_url, opened).put("/fhir/CodeSystem/drugs", json=DRUGS).status_code == 201
    asked = Statement("SELECT attname::text FROM pg_stats WHERE tablename = 'concept'", (), {})
    assert "code" in [name for (name,) in opened.rows(asked, ())]
    opened.close()


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
        assert (answer.status_code, answer.json["total"]) == (200, found), query  # type: ignore[index]  # an object
    # What is read is what was written.
    assert json.loads(client.get("/fhir/CodeSystem/drugs").text)["concept"] == DRUGS["concept"]
    assert client.get("/fhir/CodeSystem?code=r&_summary=count").json["total"] == 1  # type: ignore[index]  # an object


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
            transaction.run_all([damage])
        assert says in check(database_url), damage
    assert "concept has rows of no code system" in check(database_url)


def test_what_code_systems_say_of_themselves_is_read_without_the_concepts_of_large_ones(
    database_url: str, store: SqlStore
) -> None:
    client = server(database_url, store)
    case = {"caseSensitive": False, "valueSet": f"{URL}/vs", "copyright": "nobody's"}
    for number, one in enumerate((code_system({"code": "y"}), code_system(*DRUGS["concept"], **case))):
        assert client.put(f"/fhir/CodeSystem/c{number}", json={**one, "id": f"c{number}"}).status_code == 201
    assert client.put("/fhir/CodeSystem/gone", json={**DRUGS, "id": "gone"}).status_code == 201
    assert client.delete("/fhir/CodeSystem/gone").status_code == 204
    small, large = (json.loads(one.body or b"") for one in store.code_system_heads(page=1))
    assert small["concept"] == [{"code": "y"}]
    assert {name: large.get(name) for name in ("concept", "copyright", *case)} == {
        **case,
        "copyright": None,
        "concept": None,
    }
    # It is that of the version that counts: another may have been written by a server that knows no concepts apart.
    with store.transaction() as transaction:
        transaction.run_all(["UPDATE code_system SET version = 7"])
    assert json.loads([*store.code_system_heads()][1].body or b"")["concept"] == DRUGS["concept"]
    assert {one.id for one in store.code_system_heads()} == {"c0", "c1"}


def test_pages_past_what_is_counted_are_parts_of_the_whole(
    database_url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server(database_url, store)
    concepts = [{"code": f"p{number}", "display": "Paracetamolum"} for number in range(9)]
    below = {"filter": [{"property": "concept", "op": "is-not-a", "value": "p0"}]}
    some = {**ALL, "id": "some", "url": f"{URL}/some", "compose": {"include": [{"system": URL, **below}]}}
    for one in (code_system(*concepts), ALL, some):
        assert client.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one).status_code == 201
    monkeypatch.setattr(large_code_systems, "MOST_COUNTED", 3)
    # On PostgreSQL the first pages are found along the concepts.
    monkeypatch.setattr(sql_concepts, "SAMPLE", 4)
    monkeypatch.setattr(large_code_systems, "COMMON", 1)
    for name, codes in (("all", range(9)), ("some", range(1, 9))):
        for word in ("para", "paracetamolu"):
            pages = []
            for offset in range(0, 12, 2):
                answer = client.get(f"/fhir/ValueSet/{name}/$expand?filter={word}&offset={offset}&count=2")
                found = [one["code"] for one in answer.json["expansion"].get("contains", ())]  # type: ignore[index]  # an object
                assert answer.json["expansion"].get("total", len(codes)) == len(codes)  # type: ignore[index]  # an object
                pages += found
            assert pages == [f"p{number}" for number in codes]


CONDITIONS = [(), (Below("a", True),), (Holds(frozenset({"form"}), frozenset({"1"})),), (Among(frozenset({"a"})),)]


@pytest.mark.parametrize("conditions", CONDITIONS, ids=len)
def test_what_is_asked_by_its_words_is_not_put_in_order_again(
    sqlite_database_url: str, conditions: tuple[Condition, ...]
) -> None:
    store = open_store(Settings(database=sqlite_database_url))
    wanted = Selection(("tab",), conditions=conditions, active=True)
    assert store.in_order(wanted)
    plan = str(numbers(store.statements.dialect, wanted, True).compile(dialect=store.statements.dialect))
    text = re.sub(r"[?:]\w*", "1", plan.replace("MATCH ?", "MATCH 'tab'"))
    with store.transaction() as transaction:
        told = [row[3] for row in transaction._cursor.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()]
    # One after the other in their order, from the first to the last: nothing is looked up or sorted for each.
    assert re.search(r"VIRTUAL TABLE INDEX \d+:M1><", told[0]), told
    assert not [one for one in told if "ORDER BY" in one or one.startswith("SCAN concept ")], told
    store.close()


def test_it_is_loaded_again_backed_up_and_restored_with_its_concepts(
    database_url: str, store: SqlStore, tmp_path: Path
) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(main, [*arguments, "--database", database_url])
        assert done.exit_code == 0, done.output
        return done.output

    folder = tmp_path / "in"
    folder.mkdir()
    for one in (DRUGS, ALL):
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    run("load", str(folder))
    before = store.code_system("drugs")
    assert before is not None
    assert expanded(server(database_url, store), "filter=tab") == ["n1", "n2"]
    run("load", str(folder))
    again = store.code_system("drugs")
    assert again is not None
    assert again.span == before.span, "what is the same is not written again"
    run("backup", str(tmp_path / "copy"))
    newer = code_system(*DRUGS["concept"], {"code": "x", "display": "Ibuprofen tablet"})
    (folder / "drugs.json").write_text(json.dumps(newer))
    run("load", str(folder))
    assert expanded(server(database_url, store), "filter=tab") == ["n1", "n2", "x"]
    run("check")
    store.close()
    run("restore", str(tmp_path / "copy"), "--force")
    run("check")
    restored = open_store(Settings(database=database_url))
    assert expanded(server(database_url, restored), "filter=tab") == ["n1", "n2"]
    # A server of a version that knows no concepts apart writes another version: then the resource itself counts.
    with restored.transaction() as transaction:
        transaction.run_all(["UPDATE code_system SET version = 99"])
    assert restored.code_systems(URL) == []
    assert expanded(server(database_url, restored), "filter=tab") == ["n1", "n2"]
    restored.close()


def test_a_content_folder_brings_it_and_takes_it_away(database_url: str, store: SqlStore, tmp_path: Path) -> None:
    folder = tmp_path / "CodeSystem"
    folder.mkdir()
    settings_ = Settings(database=database_url, content=str(tmp_path))
    (folder / "drugs.json").write_text(json.dumps(DRUGS))
    sync(settings_, store)
    first = store.code_system("drugs")
    sync(settings_, store)
    assert store.code_system("drugs") == first
    (folder / "drugs.json").write_text(json.dumps(code_system(*DRUGS["concept"], {"code": "x"})))
    sync(settings_, store)
    assert [
        found.concept.code
        for held in store.code_systems(URL)
        for found in [LargeCodeSystem(store, held).look("x")]
        if found
    ] == ["x"]
    (folder / "drugs.json").unlink()
    sync(settings_, store)
    assert store.code_systems(URL) == []
    assert "concept" not in check(database_url)


def test_profiles_are_checked_against_it(database_url: str, store: SqlStore) -> None:
    client = server(database_url, store)
    base = "http://hl7.org/fhir/StructureDefinition/Medication"
    binding = {"strength": "required", "valueSet": ALL["url"]}
    profile = {
        "resourceType": "StructureDefinition", "id": "p", "url": f"{URL}/p", "name": "P", "status": "active",
        "kind": "resource", "abstract": False, "type": "Medication", "baseDefinition": base,
        "derivation": "constraint",
        "differential": {"element": [{"id": "Medication.code", "path": "Medication.code", "binding": binding}]},
    }  # fmt: skip
    for one in (DRUGS, ALL, profile):
        assert client.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one).status_code == 201
    for code, errors in (("n1", False), ("n9", True)):
        medication = {
            "resourceType": "Medication", "meta": {"profile": [profile["url"]]},
            "code": {"coding": [{"system": URL, "code": code}]},
        }  # fmt: skip
        answer = client.post("/fhir/Medication/$validate", json=medication)
        found = [one["severity"] for one in answer.json["issue"]]  # type: ignore[index]  # an object
        assert ("error" in found) is errors, answer.text
