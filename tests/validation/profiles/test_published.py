"""The profiles that HL7 published with R4 accept the official examples that claim them, and refuse broken ones."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.profiles import Profiles
from tests.official import official_examples

pytestmark = pytest.mark.slow
DEFINITIONS = ("StructureDefinition", "ValueSet", "CodeSystem")
BLOOD_PRESSURE = "http://hl7.org/fhir/StructureDefinition/bp"


@pytest.fixture(scope="module")
def published() -> list[dict[str, Any]]:
    """What the R4 package defines, and the examples in it that claim a profile. All resources would fill a gigabyte."""
    parsed = (parse(text) for _, text in official_examples(FhirVersion.R4))
    return [one for one in parsed if one.get("resourceType") in DEFINITIONS or "profile" in one.get("meta", ())]


@pytest.fixture(scope="module")
def asked(published: list[dict[str, Any]]) -> Profiles:
    return Profiles(published, [BLOOD_PRESSURE])


def broken(resource: Any, profiles: Profiles) -> set[tuple[str | None, str]]:
    issues = validate(resource, FhirVersion.R4, options=Options(profiles=profiles))
    return {(issue.rule, issue.expression[0]) for issue in issues if issue.severity == "error"}


def test_every_example_meets_the_profiles_that_it_claims(published: list[dict[str, Any]]) -> None:
    profiles = Profiles(published)
    claiming = [each for each in published if profiles.version_of(each) is FhirVersion.R4]
    assert len(claiming) > 20
    assert {each["id"]: found for each in claiming if (found := broken(each, profiles))} == {}


def _without_diastolic(value: Any) -> None:
    del value["component"][1]


def _systolic_twice(value: Any) -> None:
    value["component"].append(value["component"][0])


def _of_the_laboratory(value: Any) -> None:
    value["category"][0]["coding"][0]["code"] = "laboratory"


def _in_kilograms(value: Any) -> None:
    value["component"][0]["valueQuantity"]["code"] = "kg"


def _as_text(value: Any) -> None:
    del value["component"][0]["valueQuantity"]
    value["component"][0]["valueString"] = "107"


def _of_a_group(value: Any) -> None:
    value["subject"] = {"reference": "Group/1"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_without_diastolic, ("profile-slice-cardinality", "Observation")),
        (_systolic_twice, ("profile-slice-cardinality", "Observation.component[2]")),
        (_of_the_laboratory, ("profile-slice-cardinality", "Observation")),
        (_in_kilograms, ("profile-fixed", "Observation.component[0].value.code")),
        (_as_text, ("profile-type", "Observation.component[0].value")),
        (_of_a_group, ("profile-reference", "Observation.subject.reference")),
    ],
)
def test_a_broken_blood_pressure_is_refused_at_its_place(
    change: Callable[[Any], None], found: tuple[str, str], published: list[dict[str, Any]], asked: Profiles
) -> None:
    sound = next(each for each in published if each.get("id") == "blood-pressure")
    assert broken(sound, asked) == set()
    value = deepcopy(sound)
    change(value)
    assert found in broken(value, asked)
