"""FHIRPath Patch, operation by operation: https://hl7.org/fhir/R5/fhirpatch.html"""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.errors import BadRequest, Unprocessable
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.fhirpath_patch import apply
from apothecary.interactions.patch_parameters import operations


def operation(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    """One operation; a part is given as the JSON beside its name: `value={"valueCode": "male"}`."""
    listed = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        match value:
            case dict():
                listed.append({"name": name, **value})
            case int():
                listed.append({"name": name, "valueInteger": value})
            case _:
                listed.append({"name": name, "valueString": value})
    return {"name": "operation", "part": listed}


def patched(resource: dict[str, Any], *done: dict[str, Any]) -> dict[str, Any]:
    parameters = {"resourceType": "Parameters"} | ({"parameter": list(done)} if done else {})
    before = repr(resource)
    result = apply({"resourceType": "Patient", **resource}, operations(parameters, FhirVersion.R5), FhirVersion.R5)
    assert repr(resource) == before
    assert result.pop("resourceType") == "Patient"
    return result


FOUR = {"identifier": [{"value": one} for one in "1234"]}


def order(text: str) -> dict[str, Any]:
    return {"identifier": [{"value": one} for one in text]}


CONTACT = {"contact": [{"name": {"text": "a"}, "gender": "male"}]}
EXTENDED = {"extension": [{"url": "http://ex.org/x", "valueCode": "a"}]}
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]] = {
    "no operation changes nothing": (CONTACT, [], CONTACT),
    "replace a primitive": (
        {"birthDate": "1920-01-01"},
        [operation("replace", "Patient.birthDate", value={"valueDate": "1930-01-01"})],
        {"birthDate": "1930-01-01"},
    ),
    "a replaced primitive loses the extensions of the old one": (
        {"birthDate": "1920-01-01", "_birthDate": EXTENDED},
        [operation("replace", "Patient.birthDate", value={"valueDate": "1930-01-01"})],
        {"birthDate": "1930-01-01"},
    ),
    "delete a primitive with its extensions": (
        {"birthDate": "1920-01-01", "_birthDate": EXTENDED, "active": True},
        [operation("delete", "Patient.birthDate")],
        {"active": True},
    ),
    "delete what is not there": ({"active": True}, [operation("delete", "Patient.birthDate")], {"active": True}),
    "add a primitive": (
        {},
        [operation("add", "Patient", name="birthDate", value={"valueDate": "1930-01-01"})],
        {"birthDate": "1930-01-01"},
    ),
    "add a choice": (
        {},
        [operation("add", "Patient", name="deceased", value={"valueBoolean": True})],
        {"deceasedBoolean": True},
    ),
    "replace a choice by another type": (
        {"deceasedBoolean": True, "active": True},
        [operation("replace", "Patient.deceased", value={"valueDateTime": "2020"})],
        {"deceasedDateTime": "2020", "active": True},
    ),
    "replace inside": (
        CONTACT,
        [operation("replace", "Patient.contact[0].gender", value={"valueCode": "female"})],
        {"contact": [{"name": {"text": "a"}, "gender": "female"}]},
    ),
    "a deletion leaves no empty element": (
        CONTACT,
        [operation("delete", "Patient.contact[0].name.text")],
        {"contact": [{"gender": "male"}]},
    ),
    "delete the last of a list": (
        FOUR | {"active": True},
        [operation("delete", "Patient.identifier[3]")],
        order("123") | {"active": True},
    ),
    "add an element without a type of its own": (
        {},
        [
            operation(
                "add",
                "Patient",
                name="contact",
                value={
                    "part": [
                        {"name": "name", "valueHumanName": {"text": "a"}},
                        {"name": "relationship", "valueCodeableConcept": {"text": "b"}},
                        {"name": "relationship", "valueCodeableConcept": {"text": "c"}},
                    ]
                },
            )
        ],
        {"contact": [{"name": {"text": "a"}, "relationship": [{"text": "b"}, {"text": "c"}]}]},
    ),
    "add to a list": (
        order("1"),
        [operation("add", "Patient", name="identifier", value={"valueIdentifier": {"value": "2"}})],
        order("12"),
    ),
    "insert at the front, in the middle and at the end": (
        order("13"),
        [
            operation("insert", "Patient.identifier", index=0, value={"valueIdentifier": {"value": "0"}}),
            operation("insert", "Patient.identifier", index=2, value={"valueIdentifier": {"value": "2"}}),
            operation("insert", "Patient.identifier", index=4, value={"valueIdentifier": {"value": "4"}}),
        ],
        order("01234"),
    ),
    "insert into a list that is not there yet": (
        {},
        [operation("insert", "Patient.identifier", index=0, value={"valueIdentifier": {"value": "1"}})],
        order("1"),
    ),
    "insert a primitive among primitives with extensions": (
        {"name": [{"given": ["a", "b"], "_given": [None, EXTENDED]}]},
        [operation("insert", "Patient.name[0].given", index=0, value={"valueString": "z"})],
        {"name": [{"given": ["z", "a", "b"], "_given": [None, None, EXTENDED]}]},
    ),
    "move back": (FOUR, [operation("move", "Patient.identifier", source=3, destination=1)], order("1423")),
    "move on": (FOUR, [operation("move", "Patient.identifier", source=0, destination=3)], order("2341")),
    "move a primitive with its extensions": (
        {"name": [{"given": ["a", "b"], "_given": [EXTENDED]}]},
        [operation("move", "Patient.name[0].given", source=0, destination=1)],
        {"name": [{"given": ["b", "a"], "_given": [None, EXTENDED]}]},
    ),
    "select by a condition with a parenthesis and a dot in its text": (
        {"identifier": [{"system": "http://a.b/(c", "value": "1"}, {"system": "http://x.y", "value": "2"}]},
        [operation("replace", "Patient.identifier.where(system = 'http://a.b/(c').value", value={"valueString": "9"})],
        {"identifier": [{"system": "http://a.b/(c", "value": "9"}, {"system": "http://x.y", "value": "2"}]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operation_does_what_the_specification_says(name: str) -> None:
    resource, done, expected = CASES[name]
    result = patched(resource, *done)
    assert result == expected
    assert list(result) == list(expected)


REFUSED = {
    "an addition needs its place": operation(
        "add", "Patient.identifier.where(use = 'official').period", name="end", value={"valueDate": "2021-12-01"}
    ),
    "an addition does not replace": operation("add", "Patient", name="active", value={"valueBoolean": False}),
    "an unknown element": operation("add", "Patient", name="shoeSize", value={"valueInteger": 1}),
    "a deletion of several": operation("delete", "Patient.identifier"),
    "a replacement of nothing": operation("replace", "Patient.gender", value={"valueCode": "male"}),
    "an index beyond the end": operation(
        "insert", "Patient.identifier", index=9, value={"valueIdentifier": {"value": "1"}}
    ),
    "a source beyond the end": operation("move", "Patient.identifier", source=9, destination=0),
    "a list that is none": operation("insert", "Patient.active", index=0, value={"valueBoolean": True}),
    "a path that is none": operation("delete", "Patient.identifier.where("),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        patched({"active": True, **FOUR}, REFUSED[name])
    assert refused.value.issues[0].expression == ("Parameters.parameter[0]",)


MALFORMED: list[Any] = [
    {"name": "other"},
    {"name": "operation"},
    {"name": "operation", "part": 1},
    {"name": "operation", "part": [{"name": "type", "valueCode": "explode"}]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}]},
    {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}, {"name": "type", "valueCode": "delete"}]},
    operation("delete", "Patient.active", index=1),
    operation("insert", "Patient.identifier", index="1", value={"valueString": "a"}),
    operation("replace", "Patient.active", value={"valueBoolean": True, "_valueBoolean": {"id": "a"}}),
    operation("replace", "Patient.active", value={}),
]


@pytest.mark.parametrize("malformed", MALFORMED)
def test_parameters_that_are_no_operation_are_refused(malformed: Any) -> None:
    with pytest.raises(BadRequest):
        operations({"resourceType": "Parameters", "parameter": [malformed]}, FhirVersion.R5)
