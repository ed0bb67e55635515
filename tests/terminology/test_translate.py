"""$translate: https://hl7.org/fhir/R5/conceptmap-operation-translate.html and the same of R4"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess

JSON = {"Content-Type": "application/fhir+json"}
R4 = {
    "resourceType": "ConceptMap",
    "id": "older",
    "url": "http://ex.org/cm/older",
    "version": "1",
    "status": "active",
    "sourceCanonical": "http://ex.org/vs/a",
    "group": [
        {
            "source": "http://ex.org/a",
            "target": "http://ex.org/b",
            "element": [
                {"code": "1", "target": [{"code": "one", "display": "One", "equivalence": "equal"}]},
                {"code": "2", "target": [{"code": "two", "equivalence": "wider"}]},
                {"code": "3", "target": [{"code": "three", "equivalence": "disjoint", "comment": "Never."}]},
                {"code": "4", "target": [{"equivalence": "unmatched", "comment": "Withdrawn."}]},
                {
                    "code": "5",
                    "target": [
                        {
                            "code": "five-oral",
                            "equivalence": "equivalent",
                            "dependsOn": [
                                {"property": "http://ex.org/route", "system": "http://ex.org/r", "value": "PO"}
                            ],
                            "product": [
                                {"property": "http://ex.org/form", "system": "http://ex.org/f", "value": "TAB"}
                            ],
                        },
                        {
                            "code": "five-iv",
                            "equivalence": "equivalent",
                            "dependsOn": [
                                {"property": "http://ex.org/route", "system": "http://ex.org/r", "value": "IV"}
                            ],
                        },
                    ],
                },
            ],
            "unmapped": {"mode": "provided"},
        }
    ],
}
R5 = {
    "resourceType": "ConceptMap",
    "id": "newer",
    "url": "http://ex.org/cm/newer",
    "status": "active",
    "property": [{"code": "rank", "uri": "http://ex.org/rank", "type": "integer"}],
    "group": [
        {
            "source": "http://ex.org/c|2",
            "target": "http://ex.org/d",
            "element": [
                {"code": "x", "noMap": True},
                {
                    "code": "y",
                    "target": [
                        {
                            "code": "why",
                            "relationship": "source-is-broader-than-target",
                            "comment": "Parts of it.",
                            "property": [{"code": "rank", "valueInteger": 1}],
                        }
                    ],
                },
                {
                    "valueSet": "http://ex.org/vs/c",
                    "target": [{"code": "some", "relationship": "related-to", "comment": "Nearly."}],
                },
                {"code": "all", "target": [{"valueSet": "http://ex.org/vs/d", "relationship": "equivalent"}]},
            ],
            "unmapped": {"mode": "other-map", "otherMap": "http://ex.org/cm/rest"},
        }
    ],
}
REST = {
    "resourceType": "ConceptMap",
    "id": "rest",
    "url": "http://ex.org/cm/rest",
    "status": "active",
    "group": [
        {
            "source": "http://ex.org/c",
            "target": "http://ex.org/d",
            "element": [{"code": "only-here", "target": [{"code": "there", "relationship": "equivalent"}]}],
            "unmapped": {"mode": "fixed", "code": "other", "display": "Other", "relationship": "related-to"},
        }
    ],
}
CIRCLE = {
    "resourceType": "ConceptMap",
    "id": "circle",
    "url": "http://ex.org/cm/circle",
    "status": "active",
    "group": [
        {
            "source": "http://ex.org/round",
            "target": "http://ex.org/d",
            "element": [{"code": "a", "target": [{"code": "b", "relationship": "equivalent"}]}],
            "unmapped": {"mode": "other-map", "otherMap": "http://ex.org/cm/circle"},
        }
    ],
}


def value_set(identity: str, system: str, *codes: str) -> dict[str, Any]:
    include = {"system": system, "concept": [{"code": one} for one in codes]}
    url = f"http://ex.org/vs/{identity}"
    return {
        "resourceType": "ValueSet",
        "id": identity,
        "url": url,
        "status": "active",
        "compose": {"include": [include]},
    }


SETS = [
    value_set("a", "http://ex.org/a", "1", "2", "3", "4", "5", "6"),
    value_set("b-part", "http://ex.org/b", "one"),
    value_set("c", "http://ex.org/c", "s1", "s2"),
    value_set("d", "http://ex.org/d", "d1", "d2"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    settings = Settings(
        database=f"sqlite:///{tmp_path_factory.mktemp('translate') / 'a.db'}", content="", resource_types="*"
    )
    store = open_store(settings)
    made = InProcess(settings, store)
    fill(made)
    yield made
    store.close()


def fill(server: InProcess) -> None:
    for base, some in (("/fhir/r4", [R4]), ("/fhir/r5", [R5, REST, CIRCLE, *SETS])):
        for one in some:
            path = f"{base}/{one['resourceType']}/{one['id']}"
            answer = server.ask("PUT", path, JSON, json.dumps(one))
            assert answer.status == 201, answer.body


def told(answer: Answer) -> list[dict[str, Any]]:
    """The matches of an answer: its parts by name."""
    assert answer.status == 200, answer.body
    return [
        {part["name"]: next((v for k, v in part.items() if k != "name"), None) for part in one["part"]}
        for one in answer.json["parameter"]
        if one["name"] == "match"
    ]


def value(answer: Answer, name: str) -> Any:
    found = [one for one in answer.json["parameter"] if one["name"] == name]
    return next((v for one in found for k, v in one.items() if k.startswith("value")), None)


def codes(answer: Answer, word: str) -> list[tuple[str, str]]:
    return [(one[word], one["concept"]["code"]) for one in told(answer)]


NAMES = {"/fhir/r4": "equivalence", "/fhir/r4b": "equivalence", "/fhir/r5": "relationship"}
NARROWER, BROADER = "source-is-narrower-than-target", "source-is-broader-than-target"
# The query, whether it is a translation, what R4 says, what R5 says.
A = "system=http://ex.org/a"
B = "system=http://ex.org/b"
C = "system=http://ex.org/c"
CASES = [
    (f"{A}&code=1", True, [("equal", "one")], [("equivalent", "one")]),
    (f"{A}&sourceCode=2", True, [("wider", "two")], [(NARROWER, "two")]),
    (f"{A}&code=3", False, [("disjoint", "three")], [("not-related-to", "three")]),
    (f"{A}&code=4", False, [], []),
    # What is not mapped is taken over, if the map is about it at all.
    (f"{A}&code=6", True, [("equivalent", "6")], [("equivalent", "6")]),
    (f"{A}&code=7", False, [], []),
    (f"{A}&code=1&target=http://ex.org/vs/b-part", True, [("equal", "one")], [("equivalent", "one")]),
    (f"{A}&code=2&targetScope=http://ex.org/vs/b-part", False, [], []),
    (f"{A}&code=1&source=http://ex.org/vs/a", True, [("equal", "one")], [("equivalent", "one")]),
    (f"{A}&code=1&targetsystem=http://ex.org/zzz", False, [], []),
    # Where something else decides: told in R5, left out where there is no element to tell it.
    (f"{A}&code=5", None, [], [("equivalent", "five-oral"), ("equivalent", "five-iv")]),
    (f"{A}&code=1&version=9&url=http://ex.org/cm/older", True, [("equal", "one")], [("equivalent", "one")]),
    (f"{B}&code=two&reverse=true", True, [("narrower", "2")], [(NARROWER, "two")]),
    ("targetSystem=http://ex.org/b&targetCode=two", True, [("narrower", "2")], [(NARROWER, "two")]),
    (f"{C}&code=x", False, [], []),
    (f"{C}&code=y", True, [("narrower", "why")], [(BROADER, "why")]),
    (f"{C}&code=y&version=2&url=http://ex.org/cm/newer", True, [("narrower", "why")], [(BROADER, "why")]),
    (f"{C}&code=y&version=3&url=http://ex.org/cm/newer", False, [], []),
    (f"{C}&code=s2&url=http://ex.org/cm/newer", True, [("relatedto", "some")], [("related-to", "some")]),
    (
        f"{C}&code=all&url=http://ex.org/cm/newer",
        True,
        [("equivalent", "d1"), ("equivalent", "d2")],
        [("equivalent", "d1"), ("equivalent", "d2")],
    ),
    (f"{C}&code=only-here&url=http://ex.org/cm/newer", True, [("equivalent", "there")], [("equivalent", "there")]),
    (f"{C}&code=nowhere&url=http://ex.org/cm/newer", True, [("relatedto", "other")], [("related-to", "other")]),
    ("system=http://ex.org/round&code=z", False, [], []),
    ("system=http://ex.org/nobody&code=z", False, [], []),
]


@pytest.mark.parametrize("base", NAMES)
@pytest.mark.parametrize(
    ("query", "result", "older", "newer"), CASES, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_translation_is_told_in_the_words_of_the_release(
    server: InProcess, base: str, query: str, result: bool | None, older: Any, newer: Any
) -> None:
    answer = server.ask("GET", f"{base}/ConceptMap/$translate?{query}")
    expected = newer if base == "/fhir/r5" else older
    assert codes(answer, NAMES[base]) == expected
    assert value(answer, "result") is (bool(expected) if result is None else result)
    if not expected:
        assert value(answer, "message")


def test_it_works_the_same_on_every_database(database_url: str) -> None:
    settings = Settings(database=database_url, content="", resource_types="*")
    store = open_store(settings)
    try:
        made = InProcess(settings, store)
        fill(made)
        for query, expected in ((f"{A}&code=1", "one"), (f"{C}&code=y", "why"), (f"{C}&code=y&version=2", "why")):
            for base, word in NAMES.items():
                assert expected in dict(
                    map(reversed, codes(made.ask("GET", f"{base}/ConceptMap/$translate?{query}"), word))
                )
    finally:
        store.close()


def test_the_source_is_told_where_the_target_was_asked(server: InProcess) -> None:
    (match,) = told(server.ask("GET", "/fhir/r5/ConceptMap/$translate?targetSystem=http://ex.org/b&targetCode=one"))
    assert match["source"] == {"system": "http://ex.org/a", "code": "1"}
    assert match["originMap"] == "http://ex.org/cm/older|1"


def test_properties_products_and_dependencies_are_told(server: InProcess) -> None:
    ranked = server.ask("GET", f"/fhir/r5/ConceptMap/$translate?{C}&code=y&url=http://ex.org/cm/newer").json
    (match,) = (one["part"] for one in ranked["parameter"] if one["name"] == "match")
    assert {"name": "property", "part": [
        {"name": "uri", "valueUri": "http://ex.org/rank"}, {"name": "value", "valueInteger": 1}
    ]} in match  # fmt: skip
    oral = server.ask("GET", f"/fhir/r5/ConceptMap/$translate?{A}&code=5").json["parameter"]
    first = next(one["part"] for one in oral if one["name"] == "match")
    assert {part["name"] for part in first} >= {"dependsOn", "product"}
    assert "holds only where http://ex.org/route is PO" in next(
        one["valueString"] for one in oral if one["name"] == "message"
    )


def post(server: InProcess, path: str, *given: dict[str, Any]) -> Answer:
    return server.ask("POST", path, JSON, json.dumps({"resourceType": "Parameters", "parameter": list(given)}))


CODE = [{"name": "code", "valueCode": "5"}, {"name": "system", "valueUri": "http://ex.org/a"}]


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/r4b"])
def test_a_dependency_decides(server: InProcess, base: str) -> None:
    concept = {"coding": [{"system": "http://ex.org/r", "code": "PO"}]}
    known = [
        {"name": "element", "valueUri": "http://ex.org/route"},
        {"name": "concept", "valueCodeableConcept": concept},
    ]
    answer = post(server, f"{base}/ConceptMap/$translate", *CODE, {"name": "dependency", "part": known})
    assert codes(answer, "equivalence") == [("equivalent", "five-oral")]
    (match,) = (one["part"] for one in answer.json["parameter"] if one["name"] == "match")
    assert {"name": "product", "part": [
        {"name": "element", "valueUri": "http://ex.org/form"},
        {"name": "concept", "valueCoding": {"system": "http://ex.org/f", "code": "TAB"}},
    ]} in match  # fmt: skip


def test_a_dependency_decides_in_the_form_of_r5(server: InProcess) -> None:
    known = [{"name": "attribute", "valueUri": "http://ex.org/route"}, {"name": "value", "valueCode": "IV"}]
    answer = post(server, "/fhir/r5/ConceptMap/$translate", *CODE, {"name": "dependency", "part": known})
    assert codes(answer, "relationship") == [("equivalent", "five-iv")]


@pytest.mark.parametrize("base", NAMES)
def test_every_coding_is_translated_and_the_map_may_come_along(server: InProcess, base: str) -> None:
    concept = {"coding": [{"system": "http://ex.org/a", "code": "1"}, {"system": "http://ex.org/a", "code": "2"}]}
    own = {**R4, "url": "http://ex.org/own"} if base != "/fhir/r5" else {**REST, "url": "http://ex.org/own"}
    answer = post(server, f"{base}/ConceptMap/$translate", {"name": "codeableConcept", "valueCodeableConcept": concept},
                  {"name": "conceptMap", "resource": own})  # fmt: skip
    expected = ["one", "two"] if base != "/fhir/r5" else []
    assert [code for _, code in codes(answer, NAMES[base])] == expected


@pytest.mark.parametrize("base", NAMES)
def test_an_instance_is_the_map(server: InProcess, base: str) -> None:
    answer = server.ask("GET", f"{base}/ConceptMap/older/$translate?{A}&code=1")
    assert [code for _, code in codes(answer, NAMES[base])] == ["one"]
    assert value(server.ask("GET", f"{base}/ConceptMap/rest/$translate?{A}&code=1"), "result") is False


def test_a_new_version_of_a_map_counts_at_once(server: InProcess) -> None:
    changed = {**REST, "id": "fresh", "url": "http://ex.org/cm/fresh"}
    for word in ("other", "another"):
        changed = json.loads(json.dumps(changed))
        changed["group"][0]["unmapped"]["code"] = word
        server.ask("PUT", "/fhir/r5/ConceptMap/fresh", JSON, json.dumps(changed))
        answer = server.ask("GET", f"/fhir/r5/ConceptMap/$translate?{C}&code=q&url=http://ex.org/cm/fresh")
        assert [code for _, code in codes(answer, "relationship")] == [word]
    server.ask("DELETE", "/fhir/r5/ConceptMap/fresh", JSON)


@pytest.mark.parametrize(("query", "status", "code"), [
    ("", 400, "required"),
    ("code=1", 400, "required"),
    (f"{A}&code=1&targetCode=one&targetSystem=http://ex.org/b", 400, "value"),
    (f"{A}&code=1&url=http://ex.org/cm/none", 404, "not-found"),
    (f"{A}&code=1&url=http://ex.org/cm/older&conceptMapVersion=7", 404, "not-found"),
    (f"{A}&code=2&targetScope=http://ex.org/vs/none", 404, "not-found"),
    (f"{A}&code=1&nonsense=1", 400, "not-supported"),
    (f"{A}&code=1&reverse=maybe", 400, "value"),
])  # fmt: skip
def test_what_cannot_be_answered_is_refused(server: InProcess, query: str, status: int, code: str) -> None:
    answer = server.ask("GET", f"/fhir/r5/ConceptMap/$translate?{query}")
    assert (answer.status, answer.json["issue"][0]["code"]) == (status, code), answer.body


@pytest.mark.parametrize("given", [
    {"name": "dependency", "part": [{"name": "element", "valueUri": "http://x"}]},
    {"name": "dependency", "valueString": "x"},
    {"name": "conceptMap", "valueString": "x"},
    {"name": "sourceCoding", "valueString": "x"},
])  # fmt: skip
def test_what_has_not_the_right_form_is_refused(server: InProcess, given: dict[str, Any]) -> None:
    answer = post(server, "/fhir/r5/ConceptMap/$translate", *CODE, given)
    assert answer.status == 400, answer.body
