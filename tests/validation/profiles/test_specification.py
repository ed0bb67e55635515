"""The profiles that the specification publishes are checked without any package
(https://hl7.org/fhir/R5/profilelist.html), those of vital signs unclaimed as well
(https://hl7.org/fhir/R5/observation-vitalsigns.html).
"""

from typing import Any, NamedTuple

import pytest

from apothecary.errors import Issue
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import CORE, Profiles

R4, R4B, R5 = FhirVersion.R4, FhirVersion.R4B, FhirVersion.R5
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CATEGORY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}


def concept(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def amount(unit: str) -> dict[str, Any]:
    return {"value": 72, "unit": unit, "system": UCUM, "code": unit}


def vital(code: str, unit: str | None = None, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Observation",
        "status": "final",
        "category": [CATEGORY],
        "code": concept(code),
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-01-31",
        **({} if unit is None else {"valueQuantity": amount(unit)}),
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


def component(code: str, unit: str) -> dict[str, Any]:
    return {"code": concept(code), "valueQuantity": amount(unit)}


def canonical(name: str, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": name,
        "url": "http://example.org/x",
        "version": "1",
        "name": "X",
        "title": "X",
        "status": "draft",
        "experimental": True,
        "publisher": "P",
        "description": "d",
        **more,
    }
    return {key: value for key, value in found.items() if value is not None}


PRESSURE = [component("8480-6", "mm[Hg]"), component("8462-4", "mm[Hg]")]


class Case(NamedTuple):
    """A profile, what conforms to it, what does not, and the rule that says so."""

    profile: str
    good: dict[str, Any]
    bad: dict[str, Any]
    rule: str
    releases: tuple[FhirVersion, ...] = (R4, R4B, R5)


CASES = [
    Case("bodyweight", vital("29463-7", "kg"), vital("29463-7", "mmol/L"), "profile-binding"),
    Case("heartrate", vital("8867-4", "/min"), vital("8867-4", "min"), "profile-fixed"),
    Case("bodytemp", vital("8310-5", "Cel"), vital("8310-5", "K"), "profile-binding"),
    Case(
        "bp",
        vital("85354-9", component=PRESSURE),
        vital("85354-9", component=PRESSURE[:1]),
        "profile-slice-cardinality",
    ),
    Case("vitalsigns", vital("8867-4", "/min"), vital("8867-4", "/min", category=None), "profile-cardinality"),
    Case("bmi", vital("39156-5", "kg/m2"), vital("39156-5", "kg/m2", effectiveDateTime=None), "profile-cardinality"),
    Case(
        "shareablecodesystem",
        canonical("CodeSystem", content="complete", caseSensitive=True, concept=[{"code": "a"}]),
        canonical("CodeSystem", content="complete", caseSensitive=True),
        "profile-cardinality",
        (R4B,),
    ),
    Case(
        "shareablevalueset",
        canonical("ValueSet"),
        canonical("ValueSet", publisher=None),
        "profile-cardinality",
        (R4, R4B),
    ),
    Case(
        "groupdefinition",
        {"resourceType": "Group", "type": "person", "actual": False},
        {
            "resourceType": "Group",
            "type": "person",
            "actual": False,
            "member": [{"entity": {"reference": "Patient/p"}}],
        },
        "profile-cardinality",
        (R4, R4B),
    ),
]


def checked(resource: dict[str, Any], release: FhirVersion, *claimed: str, **more: Any) -> tuple[list[Issue], Coverage]:
    """The issues about profiles, and what was checked."""
    resource = {**resource, **({"meta": {"profile": [*claimed]}} if claimed else {})}
    coverage = Coverage()
    issues = validate(resource, release, options=Options(coverage=coverage, **more))
    return [each for each in issues if str(each.rule).startswith(("profile", "vital"))], coverage


@pytest.mark.parametrize(
    ("case", "release"),
    [pytest.param(case, release, id=f"{case.profile}-{release}") for case in CASES for release in case.releases],
)
def test_a_claim_of_a_published_profile_is_checked_without_a_package(case: Case, release: FhirVersion) -> None:
    url = CORE + case.profile
    issues, coverage = checked(case.good, release, url)
    assert issues == []
    assert f"{url}|{release.number}" in coverage.profiles
    rules = {each.rule for each in checked(case.bad, release, url)[0] if each.severity == "error"}
    assert case.rule in rules


@pytest.mark.parametrize("release", FhirVersion)
def test_every_published_profile_can_be_used(release: FhirVersion) -> None:
    profiles = Profiles(())
    urls = definitions(release).profile_urls()
    assert {CORE + "lipidprofile", CORE + "catalog", CORE + "shareablevalueset", CORE + "example-composition"} <= {
        *urls
    }
    for url in urls:
        assert profiles.profile(url, release).url == url


def test_a_version_that_is_named_is_that_of_the_release() -> None:
    url = CORE + "bodyweight"
    assert checked(vital("29463-7", "kg"), R4, f"{url}|4.0.1")[0] == []
    assert [each.rule for each in checked(vital("29463-7", "kg"), R4, f"{url}|5.0.0")[0]] == ["profile-unknown"]


@pytest.mark.parametrize("release", FhirVersion)
def test_a_vital_sign_conforms_to_its_profile_whatever_it_claims(release: FhirVersion) -> None:
    issues, _ = checked(vital("29463-7", "kg", effectiveDateTime=None), release)
    assert [each.rule for each in issues] == ["profile-cardinality", "vital-sign"]
    assert "29463-7" in issues[1].diagnostics
    issues, coverage = checked(vital("29463-7", "kg"), release)
    assert issues == []
    assert [*coverage.profiles] == [f"{CORE}bodyweight|{release.number}"]


def test_who_claims_the_profile_is_not_told_why_it_was_asked() -> None:
    issues, _ = checked(vital("29463-7", "kg", effectiveDateTime=None), R5, CORE + "bodyweight")
    assert [each.rule for each in issues] == ["profile-cardinality"]


def test_who_disables_the_rule_is_not_asked_for_the_profile() -> None:
    issues, _ = checked({**vital("29463-7", "kg"), "category": []}, R5, disabled=frozenset({"vital-sign"}))
    assert issues == []


@pytest.mark.parametrize(
    "code",
    [
        {"text": "weight"},
        concept("29463-7", "http://example.org/codes"),
        concept("718-7"),
        {"coding": None},
        {"coding": [None]},
    ],
)
def test_other_observations_are_asked_for_nothing(code: Any) -> None:
    assert checked({"resourceType": "Observation", "status": "final", "code": code}, R5)[0] == []


def test_a_given_profile_comes_before_the_published_one() -> None:
    own = {
        "resourceType": "StructureDefinition",
        "url": CORE + "bodyweight",
        "version": "9",
        "name": "Own",
        "type": "Observation",
        "derivation": "constraint",
        "baseDefinition": CORE + "vitalsigns",
        "differential": {"element": [{"id": "Observation.note", "path": "Observation.note", "min": 1}]},
    }
    issues, coverage = checked(vital("29463-7", "kg"), R5, CORE + "bodyweight", profiles=Profiles([own]))
    assert [each.diagnostics for each in issues] == ["Observation lacks note, which Own requires."]
    assert [*coverage.profiles] == [CORE + "bodyweight|9"]


def test_a_published_profile_may_be_asked_for_by_its_url() -> None:
    profiles = Profiles((), [CORE + "vitalsigns"])
    issues, coverage = checked(vital("718-7", "g/L", subject=None), R5, profiles=profiles)
    assert "profile-cardinality" in {each.rule for each in issues}
    assert [*coverage.profiles] == [CORE + "vitalsigns|5.0.0"]
