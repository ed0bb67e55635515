"""What was found sound is passed over where it comes again, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apothecary.errors import Issue
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import ERRORS, Options, validate
from apothecary.validation.run import At, Run
from apothecary.validation.sparing import forget, sparing
from tests.versions.corpus import content, vendored


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    forget()


def some() -> Iterator[tuple[JSON, FhirVersion]]:
    """Resources with much in common, in all releases."""
    for file in content()[::4]:
        yield parse(file.read_bytes()), FhirVersion.R5
    for version, file in vendored():
        yield parse(file.read_bytes()), version


def cold(resource: Any, version: FhirVersion, options: Options) -> list[Issue]:
    forget()
    return validate(resource, version, options=options)


def severe(issues: list[Issue]) -> list[Issue]:
    return [one for one in issues if one.severity in ("error", "fatal")]


def test_nothing_is_told_otherwise_because_of_what_came_before() -> None:
    every = list(some())
    assert len(every) > 100
    alone = [cold(resource, version, Options()) for resource, version in every]
    forget()
    for _ in range(2):
        assert [validate(resource, version) for resource, version in every] == alone
        assert [validate(resource, version, options=ERRORS) for resource, version in every] == [*map(severe, alone)]
    assert [validate(resource, version) for resource, version in reversed(every)] == alone[::-1]


def concept(**more: Any) -> JSON:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "ACTI", **more}]}


def medication(**more: Any) -> JSON:
    return {"resourceType": "Medication", "id": "m", **more}


def inside(resource: JSON) -> JSON:
    entry = {"fullUrl": "http://ex.org/Medication/m", "resource": resource}
    return {"resourceType": "Bundle", "type": "collection", "entry": [entry]}


CONTAINED = {"resourceType": "Substance", "id": "s", "instance": False, "code": {"concept": {"text": "x"}}}
POINTING = [{"item": {"reference": {"reference": "#s"}}}]
DISPLAYED = concept(display="Wirkstoff")
NAMED = [{"item": {"concept": {"id": "one", "text": "x"}}}]
HARD: dict[str, tuple[JSON, JSON, str]] = {
    # What is sound at first, what then is not, by which rule.
    "what it points to is not contained": (
        medication(contained=[CONTAINED], ingredient=POINTING), medication(ingredient=POINTING), "unresolved-reference",
    ),
    "the resource has another language": (
        medication(language="de", doseForm=DISPLAYED), medication(doseForm=DISPLAYED), "display-wrong",
    ),
    "its id is that of another element": (
        medication(ingredient=NAMED), medication(ingredient=[*NAMED, *NAMED]), "element-id",
    ),
    "a number is no text": (medication(doseForm={"text": "1"}), medication(doseForm={"text": 1}), "wrong-type"),
    "true is not 1": (
        medication(ingredient=[{"item": {"concept": {"text": "x"}}, "isActive": True}]),
        medication(ingredient=[{"item": {"concept": {"text": "x"}}, "isActive": 1}]), "wrong-type",
    ),
    "a tuple is no array": (
        medication(doseForm=concept()), medication(doseForm={"coding": tuple(concept()["coding"])}), "not-an-array",
    ),
    "another property asks for more": (
        {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}, "code": concept()},
        {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}, "clinicalStatus": concept()},
        "code-not-in-value-set",
    ),
}  # fmt: skip


@pytest.mark.parametrize("around", [lambda one: one, inside], ids=["alone", "in a bundle"])
@pytest.mark.parametrize(("sound", "broken", "rule"), HARD.values(), ids=HARD)
def test_what_is_sound_in_one_place_is_looked_at_in_another(
    sound: JSON, broken: JSON, rule: str, around: Callable[[JSON], JSON]
) -> None:
    expected = cold(around(broken), FhirVersion.R5, Options())
    assert rule in {one.rule for one in expected}
    for _ in range(3):
        assert rule not in {one.rule for one in validate(around(sound), FhirVersion.R5)}
    for _ in range(2):
        assert validate(around(broken), FhirVersion.R5) == expected


def test_what_was_left_out_once_is_told_when_it_is_asked_for() -> None:
    """What is sound without some rules, without advice, or within other limits may not be so with them."""
    broken = medication(ingredient=[{"item": {"concept": concept(version="2", userSelected="yes")}}])
    advised = medication(doseForm={"coding": [{"system": "rxnorm", "code": "1"}]})
    for resource in (broken, advised):
        expected = {one.rule for one in cold(resource, FhirVersion.R5, Options())} - {"dom-6"}
        forget()
        for _ in range(3):
            validate(resource, FhirVersion.R5, options=Options(disabled=frozenset(expected)))
            validate(resource, FhirVersion.R5, options=Options(errors_only=True, disabled=frozenset(expected)))
            validate(resource, FhirVersion.R5, options=ERRORS)
            validate(resource, FhirVersion.R5, options=Options(medication_rules=False))
        assert expected
        assert {one.rule for one in validate(resource, FhirVersion.R5)} - {"dom-6"} == expected
    deep = medication(doseForm=concept())
    assert "too-deep" not in {one.rule for one in validate(deep, FhirVersion.R5)}
    assert "too-deep" in {one.rule for one in validate(deep, FhirVersion.R5, options=Options(max_depth=1))}


def test_a_severity_that_was_raised_counts_as_an_error() -> None:
    resource = medication(status="active")
    raised = Options(errors_only=True, severities={"dom-6": "error"})
    assert [one.rule for one in validate(resource, FhirVersion.R5, options=raised)] == ["dom-6"]
    assert validate(resource, FhirVersion.R5, options=ERRORS) == []


def test_a_value_is_walked_once_and_one_that_is_written_in_another_way_by_itself() -> None:
    from apothecary.fhir.definitions import definitions

    walked = []

    def walk(value: Any, at: At, depth: int, run: Run) -> None:
        walked.append(value)

    run = Run({}, definitions(FhirVersion.R5), Options())
    run.sparing = True
    spare = sparing(walk)
    written = ("1", "1", "true", "1.0", "1.0", "1.00", "10E-1", "1.0", '"1.0"')
    for one in written:
        spare(parse(f'{{"value": {one}}}'), None, 1, run)
    spare({"value": 1}, None, 2, run)
    assert [dumps(one["value"]).decode() for one in walked] == ["1", "true", "1.0", "1.00", "10E-1", '"1.0"', "1"]
