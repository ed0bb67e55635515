"""What a translation may cost: past it the answer is `too-costly`, in the form of every release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.interactions import concept_maps
from apothecary.operations import translate
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.terminology import translation
from tests.conformance.harness import Answer, InProcess

JSON = {"Content-Type": "application/fhir+json"}
Item = dict[str, Any]
LIMIT = 100
A, B = "http://ex.org/a", "http://ex.org/b"
BASES = ("/fhir/r4", "/fhir/r4b", "/fhir/r5")


def group(*elements: Item, **more: Any) -> Item:
    return {"source": A, "target": B, "element": [*elements], **more}


def concept_map(name: str, *groups: Item) -> Item:
    return {"resourceType": "ConceptMap", "id": name, "url": f"http://ex.org/{name}", "status": "active",
            "group": [*groups]}  # fmt: skip


def target(code: str, **more: Any) -> Item:
    return {"code": code, "relationship": "equivalent", **more}


def other(name: str) -> Item:
    return {"unmapped": {"mode": "other-map", "otherMap": f"http://ex.org/{name}"}}


def needed(value: str) -> Item:
    return {"dependsOn": [{"attribute": "route", "valueString": value}]}


MAPS = [
    concept_map("wide", group({"code": "1", "target": [target(str(one)) for one in range(LIMIT + 1)]},
                              {"code": "2", "target": [target(str(one)) for one in range(LIMIT)]})),
    concept_map("set", group({"code": "1", "target": [{"valueSet": "http://ex.org/vs", "relationship": "equivalent"}]},
                             {"valueSet": "http://ex.org/vs", "target": [target("any")]})),
    concept_map("asked", group({"valueSet": "http://ex.org/vs", "target": [target("any")]}, source=B)),
    concept_map("told", group({"code": "1", "target": [target("x", **needed(str(one))) for one in range(LIMIT + 2)]}))
    | {"additionalAttribute": [{"code": "route", "type": "string", "uri": "http://ex.org/route"}]},
    concept_map("first", group({"code": "0"}, **other("second"))),
    concept_map("second", group({"code": "0"}, **other("first"))),
    *(concept_map(f"deep{one}", group({"code": "0"}, **other(f"deep{one + 1}"))) for one in range(25)),
    *(concept_map(f"fan{one}", *(group({"code": "0"}, **other(f"fan{one + 1}")) for _ in range(10)))
      for one in range(9)),
]  # fmt: skip
CODES = [{"code": str(one)} for one in range(LIMIT + 1)]
SET = {"resourceType": "ValueSet", "id": "vs", "url": "http://ex.org/vs", "status": "active",
       "compose": {"include": [{"system": B, "concept": CODES}]}}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    database = f"sqlite:///{tmp_path_factory.mktemp('bounds') / 'a.db'}"
    settings = Settings(database=database, content="", resource_types="*", expansion_limit=LIMIT)
    store = open_store(settings)
    made = InProcess(settings, store)
    for one in (*MAPS, SET):
        answer = made.ask("PUT", f"/fhir/r5/{one['resourceType']}/{one['id']}", JSON, json.dumps(one))
        assert answer.status == 201, answer.body
    yield made
    store.close()


def ask(server: InProcess, name: str, code: str = "1", base: str = "/fhir/r5", more: str = "") -> Answer:
    return server.ask("GET", f"{base}/ConceptMap/$translate?url=http://ex.org/{name}&code={code}&system={A}{more}")


def refused(answer: Answer) -> str:
    assert answer.status == 400, answer.body[:500]
    (issue,) = answer.json["issue"]
    assert issue["code"] == "too-costly"
    return str(issue["details"]["text"])


@pytest.mark.parametrize("base", BASES)
def test_more_translations_than_one_answer_has_are_too_costly(server: InProcess, base: str) -> None:
    assert len(ask(server, "wide", "2", base).json["parameter"]) == 1 + LIMIT
    assert str(LIMIT) in refused(ask(server, "wide", base=base))
    assert str(LIMIT) in refused(ask(server, "set", base=base))
    one = ask(server, "set", base=base, more=f"&targetScope=http://ex.org/vs&targetsystem={A}")
    assert one.json["parameter"][0]["valueBoolean"] is False


def test_more_remarks_than_one_answer_has_are_too_costly_too(server: InProcess) -> None:
    """R4 has no element for what a mapping depends on: it is said in words, and those are bounded as well."""
    for base in BASES:
        refused(ask(server, "told", base=base))


@pytest.mark.parametrize("base", BASES)
def test_maps_that_refer_to_each_other_are_told_as_a_circle(server: InProcess, base: str) -> None:
    answer = ask(server, "first", base=base).json
    told = {one["name"]: one for one in answer["parameter"]}
    assert told["result"]["valueBoolean"] is False
    assert "http://ex.org/first -> http://ex.org/second -> http://ex.org/first" in told["message"]["valueString"]


def test_maps_that_refer_to_others_too_deep_are_too_costly(server: InProcess) -> None:
    assert "too deep" in refused(ask(server, "deep0"))
    assert ask(server, "deep10").status == 200


def test_a_billion_ways_through_other_maps_are_too_costly(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "MOST_STEPS", 20_000)
    looked: list[str] = []
    named = concept_maps.ConceptMaps.named

    def counting(maps: Any, canonical: str, version: str | None = None) -> Any:
        looked.append(canonical)
        return named(maps, canonical, version)

    monkeypatch.setattr(concept_maps.ConceptMaps, "named", counting)
    refused(ask(server, "fan0"))
    assert len(looked) == len(set(looked)), "each map is looked up once"


def test_what_value_sets_are_asked_counts_together(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    codings = [{"system": B, "code": str(one)} for one in range(LIMIT)]
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "url", "valueUri": "http://ex.org/asked"},
        {"name": "sourceCodeableConcept", "valueCodeableConcept": {"coding": codings}},
    ]}  # fmt: skip

    def answer() -> Answer:
        return server.ask("POST", "/fhir/r5/ConceptMap/$translate", JSON, json.dumps(body))

    assert answer().status == 200
    monkeypatch.setattr(translate, "MOST_STEPS", 50)
    refused(answer())


def test_more_maps_of_a_code_system_than_can_be_looked_at_are_too_costly(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concept_maps, "MOST_MAPS", 5)
    for base in BASES:
        answer = server.ask("GET", f"{base}/ConceptMap/$translate?code=1&system={A}")
        assert "more than 5 concept maps" in refused(answer)


@pytest.mark.parametrize(("operation", "name"), [
    ("ConceptMap/$translate", "sourceCodeableConcept"),
    ("ConceptMap/$translate", "codeableConcept"),
    ("CodeSystem/$validate-code", "codeableConcept"),
])  # fmt: skip
def test_more_codings_than_a_concept_has_are_refused(server: InProcess, operation: str, name: str) -> None:
    """Each may be of a code system of its own, which is to be looked up."""
    codings = [{"system": f"http://ex.org/{one}", "code": "x"} for one in range(1001)]
    body = {"resourceType": "Parameters",
            "parameter": [{"name": name, "valueCodeableConcept": {"coding": codings}}]}  # fmt: skip
    answer = server.ask("POST", f"/fhir/r5/{operation}", JSON, json.dumps(body))
    assert answer.status == 400
    assert answer.json["issue"][0]["code"] == "too-long"
