"""What the terminology operations are called with: nothing that was given is passed over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apothecary.fhir.json import dumps
from tests.conformance.harness import Answer, InProcess

JSON = {"Content-Type": "application/fhir+json"}
Item = dict[str, Any]

GENDER = "http://hl7.org/fhir/administrative-gender"
SET = "http://hl7.org/fhir/ValueSet/administrative-gender"
MALE = {"system": GENDER, "code": "male"}
# Each operation with a call that is right.
RIGHT: dict[str, list[Item]] = {
    "ValueSet/$expand": [{"name": "url", "valueUri": SET}],
    "ValueSet/$validate-code": [{"name": "url", "valueUri": SET}, {"name": "coding", "valueCoding": MALE}],
    "CodeSystem/$validate-code": [{"name": "url", "valueUri": GENDER}, {"name": "code", "valueCode": "male"}],
    "CodeSystem/$lookup": [{"name": "system", "valueUri": GENDER}, {"name": "code", "valueCode": "male"}],
    "CodeSystem/$subsumes": [
        {"name": "system", "valueUri": GENDER},
        {"name": "codeA", "valueCode": "male"},
        {"name": "codeB", "valueCode": "male"},
    ],
    "ConceptMap/$translate": [{"name": "sourceCode", "valueCode": "male"}, {"name": "system", "valueUri": GENDER}],
}  # fmt: skip


def post(server: InProcess, operation: str, parameters: list[Item], base: str = "/fhir/r5") -> Answer:
    body = {"resourceType": "Parameters", "parameter": parameters}
    return server.ask("POST", f"{base}/{operation}", JSON, json.dumps(body))


def refused(answer: Answer, *says: str) -> None:
    assert answer.status == 400, answer.body
    text = answer.body.decode()
    assert answer.json["resourceType"] == "OperationOutcome"
    for one in says:
        assert one in text


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/r4b", "/fhir/r5"])
@pytest.mark.parametrize("operation", RIGHT)
def test_a_call_that_is_right_is_answered_in_every_release(empty: InProcess, base: str, operation: str) -> None:
    assert post(empty, operation, RIGHT[operation], base).status == 200


@pytest.mark.parametrize("operation", RIGHT)
def test_a_value_of_another_type_is_refused_for_every_parameter(empty: InProcess, operation: str) -> None:
    taken = empty.service.operations[operation.partition("$")[2]].arguments
    for one in taken:
        others = [each for each in RIGHT[operation] if each["name"] != one.name]
        for value in (
            {"valueRange": {}}, {"valueDecimal": 1.5}, {"valueString": None}, {}, {"part": {}},
            {"valueUri": ["a"]}, {"valueCoding": "a"}, {"resource": "a"}, {"valueUri": "a", "valueCode": "a"},
        ):  # fmt: skip
            refused(post(empty, operation, [*others, {"name": one.name, **value}]))


@pytest.mark.parametrize("operation", RIGHT)
def test_a_parameter_that_is_taken_once_is_refused_twice(empty: InProcess, operation: str) -> None:
    first = RIGHT[operation][0]
    name, value = first["name"], next(value for key, value in first.items() if key != "name")
    refused(post(empty, operation, [*RIGHT[operation], first]), "2 times")
    refused(post(empty, f"{operation}?{name}={value}", RIGHT[operation]), name)
    rest = "".join(f"&{one['name']}={one['valueCode']}" for one in RIGHT[operation] if "valueCode" in one)
    if "coding" not in [one["name"] for one in RIGHT[operation]]:
        refused(empty.ask("GET", f"/fhir/r5/{operation}?{name}={value}&{name}={value}{rest}"), name)


@pytest.mark.parametrize("operation", RIGHT)
def test_a_parameter_that_is_not_known_is_refused_by_its_name(empty: InProcess, operation: str) -> None:
    refused(post(empty, operation, [*RIGHT[operation], {"name": "nonesuch", "valueString": "x"}]), "nonesuch")
    refused(post(empty, f"{operation}?nonesuch=x", RIGHT[operation]), "nonesuch")


CODE = {"name": "code", "valueCode": "male"}
CONCEPT = {"name": "codeableConcept", "valueCodeableConcept": {"coding": [MALE]}}
CODING = {"name": "coding", "valueCoding": MALE}
URL = RIGHT["ValueSet/$expand"][0]
GIVEN_SET = {"name": "valueSet", "resource": {"resourceType": "ValueSet", "status": "active"}}
GIVEN_MAP = {"name": "conceptMap", "resource": {"resourceType": "ConceptMap", "status": "active"}}


@pytest.mark.parametrize(("operation", "given", "says"), [
    ("ValueSet/$validate-code", [URL, CODE, CODING], "code and coding"),
    ("ValueSet/$validate-code", [URL, CODING, CONCEPT], "coding and codeableConcept"),
    ("CodeSystem/$validate-code", [CODE, CONCEPT], "code and codeableConcept"),
    ("ValueSet/$validate-code", [URL, CODING, {"name": "display", "valueString": "Male"}], "coding and display"),
    ("ValueSet/$validate-code", [URL, CODING, {"name": "systemVersion", "valueString": "1"}], "systemVersion"),
    ("ValueSet/$validate-code", [URL, CONCEPT, {"name": "system", "valueUri": GENDER}], "codeableConcept and system"),
    ("ValueSet/$validate-code", [URL, CODING, {"name": "mode", "valueString": "strict"}], "strict"),
    ("ValueSet/$expand", [URL, GIVEN_SET], "url and valueSet"),
    ("ValueSet/$expand", [GIVEN_SET, {"name": "valueSetVersion", "valueString": "1"}], "valueSetVersion"),
    ("ValueSet/$expand", [URL, {"name": "system-version", "valueCanonical": f"{GENDER}|"}], "url|version"),
    ("CodeSystem/$lookup", [CODE, CODING], "code and coding"),
    ("CodeSystem/$lookup", [CODING, {"name": "system", "valueUri": GENDER}], "system and coding"),
    ("CodeSystem/$subsumes", [*RIGHT["CodeSystem/$subsumes"], {"name": "codingA", "valueCoding": MALE}], "codingA"),
    ("CodeSystem/$subsumes", [*RIGHT["CodeSystem/$subsumes"], {"name": "url", "valueUri": GENDER}], "url"),
    ("ConceptMap/$translate", [CODING, GIVEN_MAP, {"name": "url", "valueUri": "http://m"}], "url and conceptMap"),
    ("ConceptMap/$translate", [CODING, {"name": "conceptMapVersion", "valueString": "1"}], "conceptMapVersion"),
    ("ConceptMap/$translate", [CODING, {"name": "target", "valueUri": "a"}, {"name": "targetScope", "valueUri": "b"}],
     "target"),
    ("ConceptMap/$translate", [CODING, {"name": "useSupplement", "valueCanonical": "http://none"}], "http://none"),
])  # fmt: skip
def test_parameters_that_stand_for_each_other_are_not_chosen_from(
    empty: InProcess, operation: str, given: list[Item], says: str
) -> None:
    answer = post(empty, operation, given)
    assert 400 <= answer.status < 500
    assert says in answer.body.decode()


@pytest.mark.parametrize("resource", [
    {"resourceType": "Patient"},
    {"resourceType": "ValueSet"},
    {"resourceType": "CodeSystem", "url": 3},
    {"resourceType": "ConceptMap", "url": []},
])  # fmt: skip
def test_a_resource_that_goes_along_and_could_not_be_meant_is_refused(empty: InProcess, resource: Item) -> None:
    for operation, right in RIGHT.items():
        refused(post(empty, operation, [*right, {"name": "tx-resource", "resource": resource}]), "tx-resource")


def test_a_value_that_is_no_primitive_one_is_posted(empty: InProcess) -> None:
    for name in ("dependency", "sourceCoding", "conceptMap", "tx-resource"):
        refused(empty.ask("GET", f"/fhir/r5/ConceptMap/$translate?code=male&system={GENDER}&{name}=x"), name)


def test_an_instance_is_asked_about_nothing_else(empty: InProcess) -> None:
    own = {"resourceType": "ValueSet", "id": "v", "status": "active", "url": "http://ex.org/v",
           "compose": {"include": [{"system": GENDER}]}}  # fmt: skip
    assert empty.ask("PUT", "/fhir/r5/ValueSet/v", JSON, dumps(own).decode()).status in (200, 201)
    refused(empty.ask("GET", f"/fhir/r5/ValueSet/v/$expand?url={SET}"), "the one that was called")
    refused(post(empty, "ValueSet/v/$expand", [GIVEN_SET]), "the one that was called")


def test_a_batch_of_validations_takes_its_parameters_in_the_body(empty: InProcess) -> None:
    validation = {"name": "validation", "resource": {"resourceType": "Parameters",
                                                     "parameter": RIGHT["ValueSet/$validate-code"]}}  # fmt: skip
    assert post(empty, "ValueSet/$batch-validate-code", [validation, validation]).status == 200
    refused(post(empty, f"ValueSet/$batch-validate-code?url={SET}", [validation]), "body")
    refused(post(empty, "ValueSet/$batch-validate-code", [validation, {"name": "nonesuch", "valueCode": "x"}]))
    refused(post(empty, "ValueSet/$batch-validate-code", [{"name": "validation", "valueString": "x"}]), "validation")


def test_parameters_in_xml_are_those_of_json(empty: InProcess) -> None:
    value = f'<name value="url"/><valueUri value="{SET}"/>'
    body = f'<Parameters xmlns="http://hl7.org/fhir"><parameter>{value}</parameter></Parameters>'
    answer = empty.ask("POST", "/fhir/r5/ValueSet/$expand", {"Content-Type": "application/fhir+xml"}, body)
    assert answer.status == 200
    as_json = post(empty, "ValueSet/$expand", [{"name": "url", "valueUri": SET}]).json
    assert answer.json["expansion"]["contains"] == as_json["expansion"]["contains"]
    broken = body.replace("valueUri", "valueNonesuch")
    answer = empty.ask("POST", "/fhir/r5/ValueSet/$expand", {"Content-Type": "application/fhir+xml"}, broken)
    assert answer.status == 400
    assert "valueNonesuch" in answer.body.decode()


def test_operations_in_a_bundle_are_checked_alike(empty: InProcess) -> None:
    entries = [
        {"request": {"method": "GET", "url": f"ValueSet/$expand?url={SET}{more}"}} for more in ("", "&url=x", "&foo=x")
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = empty.ask("POST", "/fhir/r5", JSON, json.dumps(bundle))
    assert [one["response"]["status"][:3] for one in answer.json["entry"]] == ["200", "400", "400"]
