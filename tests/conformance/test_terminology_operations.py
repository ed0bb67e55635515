"""$lookup, $subsumes, $expand and $validate-code: https://hl7.org/fhir/R5/terminology-service.html"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.harness import BASE, Answer, InProcess, problems, table, told

CASES = [(path, found) for section in table("terminology_operations.yaml").values() for path, found in section.items()]
JSON = {"Content-Type": "application/fhir+json"}


@pytest.mark.parametrize(("path", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_an_operation_answers_as_the_table_says(terms: InProcess, path: str, expected: dict[str, Any]) -> None:
    check(terms.ask("GET", f"{BASE}/{path}"), expected)


def check(answer: Answer, expected: dict[str, Any]) -> None:
    if "status" in expected:
        assert answer.status == expected["status"], answer.body
        assert expected["says"] in told(problems(answer)[0])
        return
    assert answer.status == 200, answer.body
    if "codes" in expected:
        expansion = answer.json["expansion"]
        assert [*contained(expansion)] == expected["codes"]
        assert expansion["total"] == expected["total"]
        used = [one["valueUri"] for one in expansion.get("parameter", ()) if one["name"] == "used-fragment"]
        assert used == ([expected["fragment"]] if "fragment" in expected else [])
    else:
        found = said(answer)
        assert {name: found.get(name) for name in expected} == expected
        # What is right with a code needs no further word.
        assert expected.get("result") is not True or "issues" in expected or "issues" not in found


def contained(parent: dict[str, Any]) -> Iterator[str]:
    """The codes of an expansion, those that are nested below their parents."""
    for one in parent.get("contains", ()):
        yield one["code"]
        yield from contained(one)


def said(answer: Answer) -> dict[str, Any]:
    """The parameters of an answer by name; properties as `code value`."""
    found: dict[str, Any] = {}
    for one in answer.json["parameter"]:
        if "part" in one:
            values = [next(value for key, value in part.items() if key != "name") for part in one["part"]]
            found.setdefault(one["name"], []).append(" ".join(map(str, values)))
        else:
            (found[one["name"]],) = (value for key, value in one.items() if key != "name")
    if "issues" in found:
        found["issues"] = [
            f"{one['severity']} {one['details']['coding'][0]['code']}" for one in found["issues"]["issue"]
        ]
    return found


SUBSTANCE = "http://ex.org/substances"


@pytest.mark.parametrize(("path", "posted", "expected"), [
    ("CodeSystem/$lookup", {"coding": {"valueCoding": {"system": SUBSTANCE, "code": "codeine"}}},
     {"name": SUBSTANCE, "display": "codeine"}),
    ("CodeSystem/$lookup", {"coding": {"valueCoding": {"system": SUBSTANCE}}},
     {"status": 400, "says": "Coding with a code"}),
    ("CodeSystem/$subsumes", {"codingA": {"valueCoding": {"system": SUBSTANCE, "code": "morphine"}},
                              "codingB": {"valueCoding": {"system": SUBSTANCE, "code": "morphine-sulfate"}}},
     {"outcome": "subsumes"}),
    ("CodeSystem/$subsumes", {"codingA": {"valueCoding": {"system": SUBSTANCE, "code": "morphine"}},
                              "codingB": {"valueCoding": {"system": "http://ex.org/salts", "code": "NA"}}},
     {"status": 400, "says": "different code systems"}),
    ("ValueSet/opioids/$validate-code", {"codeableConcept": {"valueCodeableConcept": {"coding": [
        {"system": SUBSTANCE, "code": "morphine-hydrochloride"}, {"system": SUBSTANCE, "code": "codeine"}]}}},
     {"result": True, "issues": ["information this-code-not-in-vs"]}),
    ("ValueSet/opioids/$validate-code", {"codeableConcept": {"valueCodeableConcept": {"text": "codeine"}}},
     {"status": 400, "says": "no code"}),
    ("ValueSet/$expand", {"valueSet": {"resource": {"resourceType": "ValueSet", "compose": {"include": [
        {"system": SUBSTANCE, "filter": [{"property": "code", "op": "generalizes", "value": "morphine-sulfate"}]}]}}}},
     {"codes": ["morphine", "morphine-sulfate"], "total": 2}),
    *(
        ("ValueSet/$expand", {"valueSet": {"resource": {"resourceType": "ValueSet", "compose": {"include": [
            {"system": SUBSTANCE, "filter": [{"property": "code", "op": "regex", "value": pattern}]}]}}}}, expected)
        for pattern, expected in (
            ("(?:[A-Za-z ]|[A-Za-z ])*!", {"codes": [], "total": 0}),
            ("(c|co|o)+d.*", {"codes": ["codeine"], "total": 1}),
            (r"(.)\1", {"status": 400, "says": "invalid escape sequence"}),
        )
    ),
    ("ValueSet/$expand", {"surprise": {"valueString": "x"}}, {"status": 400, "says": "surprise"}),
])  # fmt: skip
def test_an_operation_takes_posted_parameters(
    terms: InProcess, path: str, posted: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in posted.items()]}
    check(terms.ask("POST", f"{BASE}/{path}", JSON, json.dumps(body)), expected)


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/r4b", "/fhir/r5"])
def test_every_version_searches_and_expands_the_same_value_sets(terms: InProcess, base: str) -> None:
    found = terms.ask("GET", f"{base}/Medication?ingredient-code:in=http://ex.org/vs/opioids")
    assert found.ids == ["base", "codeine", "pentahydrate", "sulfate"]
    assert terms.ask("GET", f"{base}/ValueSet/opioids/$expand").json["expansion"]["total"] == 4
