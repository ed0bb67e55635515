"""What is said of a code that is in its value set: https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig/"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.harness import InProcess

JSON = {"Content-Type": "application/fhir+json"}
STANDARDS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
SYSTEM, SET = "http://ex.org/s", "http://ex.org/v"
Item = dict[str, Any]


def given(system: Item, value_set: Item) -> list[Item]:
    properties = [{"code": "notSelectable", "valueBoolean": True}]
    found = [
        {"resourceType": "CodeSystem", "url": SYSTEM, "version": "1", "status": "active", "content": "complete",
         "concept": [{"code": "a"}, {"code": "group", "property": properties}], **system},
        {"resourceType": "ValueSet", "url": SET, "version": "2", "status": "active",
         "compose": {"include": [{"system": SYSTEM}]}, **value_set},
    ]  # fmt: skip
    return [{"name": "tx-resource", "resource": one} for one in found]


def ask(server: InProcess, operation: str, *parameters: Item, base: str = "/fhir/r5") -> Any:
    body = {"resourceType": "Parameters", "parameter": [*parameters]}
    answer = server.ask("POST", f"{base}/{operation}", JSON, json.dumps(body))
    assert answer.status == 200, answer.body
    return answer.json


def told(answer: Any) -> dict[str, Any]:
    return {one["name"]: one for one in answer["parameter"]}


def issues(answer: Any) -> list[tuple[str, str, str]]:
    """Severity, code and text of each issue."""
    found = told(answer).get("issues", {"resource": {"issue": []}})["resource"]["issue"]
    return [(one["severity"], one["details"]["coding"][0]["code"], one["details"]["text"]) for one in found]


def coding(code: str) -> Item:
    return {"name": "coding", "valueCoding": {"system": SYSTEM, "code": code}}


URL = {"name": "url", "valueUri": SET}


def standards(status: str) -> Item:
    return {"extension": [{"url": STANDARDS, "valueCode": status}]}


CASES: list[tuple[Item, Item, list[str]]] = [
    ({}, {}, []),
    ({"status": "draft"}, {}, [f"draft CodeSystem {SYSTEM}|1"]),
    (standards("draft"), {}, [f"draft CodeSystem {SYSTEM}|1"]),
    ({"status": "draft"}, {"status": "draft"}, []),
    ({"experimental": True}, {}, [f"experimental CodeSystem {SYSTEM}|1"]),
    ({"experimental": True}, {"experimental": True}, []),
    ({"status": "retired"}, {}, [f"retired CodeSystem {SYSTEM}|1"]),
    (standards("deprecated"), {"status": "draft"}, [f"deprecated CodeSystem {SYSTEM}|1"]),
    ({}, standards("withdrawn"), [f"withdrawn ValueSet {SET}|2"]),
    (standards("deprecated"), standards("withdrawn"),
     [f"deprecated CodeSystem {SYSTEM}|1", f"withdrawn ValueSet {SET}|2"]),
    ({}, {"status": "draft", "experimental": True}, []),
]  # fmt: skip


@pytest.mark.parametrize(("system", "value_set", "expected"), CASES)
def test_what_is_withdrawn_or_not_finished_is_told_and_changes_no_result(
    empty: InProcess, system: Item, value_set: Item, expected: list[str]
) -> None:
    along = given(system, value_set)
    for base in ("/fhir/r4", "/fhir/r5"):
        answer = ask(empty, "ValueSet/$validate-code", *along, URL, coding("a"), base=base)
        assert told(answer)["result"]["valueBoolean"] is True
        assert "message" not in told(answer)
        assert issues(answer) == [("information", "status-check", f"Reference to {one}") for one in expected]
        expansion = ask(empty, "ValueSet/$expand", *along, URL, base=base)["expansion"]
        warned = {
            (one["name"], one["valueUri"]) for one in expansion["parameter"] if one["name"].startswith("warning-")
        }
        assert warned == {(f"warning-{one.split()[0]}", one.split()[2]) for one in expected}


def test_a_code_system_alone_rests_on_nothing(empty: InProcess) -> None:
    for system, expected in ((standards("withdrawn"), 1), ({"status": "retired"}, 1), ({"status": "draft"}, 0)):
        url = {"name": "url", "valueUri": SYSTEM}
        answer = ask(empty, "CodeSystem/$validate-code", *given(system, {}), url, coding("a"))
        assert len(issues(answer)) == expected


def test_an_abstract_code_is_not_in_a_value_set_where_none_may_be(empty: InProcess) -> None:
    along = given({}, {})
    answer = ask(empty, "ValueSet/$validate-code", *along, URL, coding("group"))
    assert told(answer)["result"]["valueBoolean"] is True
    no = {"name": "abstract", "valueBoolean": False}
    answer = ask(empty, "ValueSet/$validate-code", *along, URL, coding("group"), no)
    assert told(answer)["result"]["valueBoolean"] is False
    assert [one[:2] for one in issues(answer)] == [("error", "code-rule"), ("error", "not-in-vs")]
    answer = ask(empty, "CodeSystem/$validate-code", *along, {"name": "url", "valueUri": SYSTEM}, coding("group"), no)
    assert [one[:2] for one in issues(answer)] == [("error", "code-rule")]


@pytest.mark.parametrize("as_concept", [False, True])
def test_a_code_that_a_fragment_lacks_is_right_with_a_warning_beside(empty: InProcess, as_concept: bool) -> None:
    along = given({"content": "fragment"}, {})
    one = coding("z")
    if as_concept:
        one = {"name": "codeableConcept", "valueCodeableConcept": {"coding": [one["valueCoding"]]}}
    answer = ask(empty, "ValueSet/$validate-code", *along, URL, one)
    assert told(answer)["result"]["valueBoolean"] is True
    assert "message" not in told(answer)
    assert [one[:2] for one in issues(answer)] == [("warning", "invalid-code")]
    wrong = ask(empty, "ValueSet/$validate-code", *given({}, {}), URL, one)
    assert told(wrong)["result"]["valueBoolean"] is False
    assert "message" in told(wrong)
