"""What is said of Codings by their code systems, and where nothing may be said."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Binding
from apothecary.validation import Options, validate
from apothecary.validation.bindings import binding_check
from apothecary.validation.meant import meant
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import Profiles
from apothecary.validation.run import Run

HOME = "http://terminology.hl7.org/CodeSystem/"
ACT, IDENTIFIERS = f"{HOME}v3-ActCode", f"{HOME}v2-0203"
R4, R4B, R5 = FhirVersion.R4, FhirVersion.R4B, FhirVersion.R5
RULES = {"code-unknown", "code-withdrawn", "code-abstract", "display-wrong", "code-form", "code-not-in-value-set"}
Item = dict[str, Any]


def rules(resource: Item, version: FhirVersion, **options: Any) -> set[str | None]:
    return {one.rule for one in validate(resource, version, options=Options(**options))} & RULES


def medication(coding: Item, **more: Any) -> Item:
    return {"resourceType": "Medication", "code": {"coding": [coding]}, **more}


@pytest.mark.parametrize(
    ("version", "coding", "wanted"),
    [
        (R4, {"system": ACT, "code": "AMB"}, set()),
        (R5, {"system": ACT, "code": "amb"}, {"code-unknown"}),
        # R4 published a code that has since been taken away: whoever wrote it then was right.
        (R4, {"system": f"{HOME}study-type", "code": "mixed"}, set()),
        (R5, {"system": f"{HOME}study-type", "code": "mixed"}, set()),
        # Codes of a later release come with cross-version extensions.
        (R4, {"system": "http://hl7.org/fhir/resource-types", "code": "Ingredient"}, set()),
        (R4, {"system": "http://hl7.org/fhir/resource-types", "code": "Ingrediens"}, {"code-unknown"}),
        # Of these not all codes are known.
        (R4, {"system": f"{HOME}v3-mediaType", "code": "text/x"}, set()),
        (R4, {"system": f"{HOME}time-period-ranges", "code": "x"}, set()),
        (R4, {"system": "http://example.org/own", "code": "x"}, set()),
        # A version that is held decides alone; one that is not decides nothing.
        (R4, {"system": f"{HOME}study-type", "code": "mixed", "version": "4.0.1"}, set()),
        (R4, {"system": f"{HOME}study-type", "code": "mixed", "version": "1.0.0"}, {"code-unknown"}),
        (R4, {"system": ACT, "code": "x", "version": "77"}, set()),
        # What a release lists with no display has none that could be wrong; case, space and hyphens do not count.
        (R4, {"system": ACT, "code": "AMB", "display": " AMBULATORY"}, set()),
        (R4, {"system": ACT, "code": "AMB", "display": ""}, set()),
        (R4, {"system": ACT, "code": "AMB", "display": "virtual"}, {"display-wrong"}),
        (R4B, {"system": f"{HOME}v3-RoleClass", "code": "CHILD"}, {"code-withdrawn"}),
        # No code, no text: the walk has said what is wrong.
        (R4, {"system": ACT, "code": 5}, set()),
        (R4, {"system": 5, "code": "AMB"}, set()),
        (R4, {"code": "AMB"}, set()),
    ],
)
def test_a_code_is_judged_by_all_that_know_its_system(version: FhirVersion, coding: Item, wanted: set[str]) -> None:
    assert rules(medication(coding), version) == wanted


@pytest.mark.parametrize(
    ("language", "display", "wanted"),
    [
        ("de", "Krankenaktennummer", set()),
        ("de-AT", "Krankenaktennummer", set()),
        ("de", "Medical record number", set()),
        ("de", "Passnummer", {"display-wrong"}),
        ("en", "Krankenaktennummer", {"display-wrong"}),
        (None, "Krankenaktennummer", set()),
        ("mt", "Numru", set()),  # A language in which it has no name.
    ],
)
def test_a_display_is_judged_in_the_language_of_the_resource(language: str, display: str, wanted: set[str]) -> None:
    more = {} if language is None else {"language": language}
    assert rules(medication({"system": IDENTIFIERS, "code": "MR", "display": display}, **more), R4) == wanted


def test_a_display_that_says_its_own_language_is_judged_in_that() -> None:
    extension = {"url": "http://hl7.org/fhir/StructureDefinition/language", "valueCode": "de"}
    coding = {
        "system": IDENTIFIERS,
        "code": "MR",
        "display": "Krankenaktennummer",
        "_display": {"extension": [extension]},
    }
    assert "display-wrong" not in rules(medication(coding, language="en"), R4)


def test_a_version_that_is_not_held_is_listed_as_not_checked() -> None:
    coverage = Coverage()
    validate(medication({"system": ACT, "code": "x", "version": "77"}), R4, options=Options(coverage=coverage))
    assert any(f"{ACT}|77" in one for one in coverage.unchecked)


OWN = {
    "resourceType": "CodeSystem", "url": "http://example.org/own", "version": "2", "status": "active",
    "content": "complete",
    "concept": [
        {"code": "a", "display": "The a"},
        {"code": "b", "property": [{"code": "status", "valueCode": "retired"}]},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("coding", "content", "wanted"),
    [
        ({"code": "a", "display": "The A"}, "complete", set()),
        ({"code": "a", "display": "The b"}, "complete", {"display-wrong"}),
        ({"code": "b"}, "complete", {"code-withdrawn"}),
        ({"code": "c"}, "complete", {"code-unknown"}),
        ({"code": "c"}, "fragment", set()),
        ({"code": "c"}, "not-present", set()),
        ({"code": "c", "version": "3"}, "complete", set()),
    ],
)
def test_code_systems_of_packages_are_asked_too(coding: Item, content: str, wanted: set[str]) -> None:
    profiles = Profiles([{**OWN, "content": content}])
    assert rules(medication({"system": OWN["url"], **coding}), R4, profiles=profiles) == wanted


def test_a_newer_code_system_of_a_package_adds_codes() -> None:
    newer = {**OWN, "url": ACT, "version": "10.0.0"}
    assert rules(medication({"system": ACT, "code": "a"}), R4, profiles=Profiles([newer])) == set()
    assert rules(medication({"system": ACT, "code": "AMB"}), R4, profiles=Profiles([newer])) == set()


def allergy(code: str) -> Item:
    status = {"coding": [{"system": f"{HOME}allergyintolerance-clinical", "code": code}]}
    return {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}, "clinicalStatus": status}


def test_what_a_required_binding_refuses_is_told_once() -> None:
    assert rules(allergy("activ"), R4) == {"code-not-in-value-set"}
    assert rules(allergy("active"), R4) == set()


@pytest.mark.parametrize(("code", "wanted"), [("HRESCH", set()), ("HMARKT", set()), ("PHYRHB", {"set"})])
def test_a_code_that_came_after_the_release_is_of_the_value_set(code: str, wanted: set[str]) -> None:
    # R4's Consent binds its purpose to v3-PurposeOfUse, extensible. PHYRHB is a code of another part of v3-ActReason.
    purpose = [{"system": f"{HOME}v3-ActReason", "code": code}]
    consent = {"resourceType": "Consent", "status": "active", "provision": {"purpose": purpose}}
    found = [one for one in validate(consent, R4) if one.rule == "code-not-in-extensible-set" and "purpose" in str(one)]
    assert bool(found) is bool(wanted)


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (ACT, None),
        ("http://loinc.org", None),
        ("http://example.org/loinc.org", None),
        ("urn:oid:1.2.3.4", None),
        ("http://hl7.org/fhir/sid/us-npi", None),
        ("https://loinc.org/", "http://loinc.org"),
        ("HTTP://WWW.LOINC.ORG", "http://loinc.org"),
        ("loinc", "http://loinc.org"),
        ("rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("v2-0203", IDENTIFIERS),
        ("http://hl7.org/fhir/v2/0203", IDENTIFIERS),
        ("https://www.hl7.org/fhir/v3/ActCode/", ACT),
        ("http://terminology.hl7.org/v3/ActCode", ACT),
        ("http://hl7.org/fhir/CodeSystem/observation-status", "http://hl7.org/fhir/observation-status"),
        ("http://terminology.hl7.org/CodeSystem/organization-role", "http://hl7.org/fhir/organization-role"),
        ("urn:oid:2.16.840.1.113883.6.103", "http://hl7.org/fhir/sid/icd-9-cm"),
        ("URN:OID:2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        ("http://terminology.hl7.org/ValueSet/v3-ActCode", ACT),
        ("http://terminology.hl7.org/CodeSystem/CVX", "http://hl7.org/fhir/sid/cvx"),
        ("", None),
    ],
)
def test_a_system_is_guessed_from_all_that_it_is_called(system: str, wanted: str | None) -> None:
    assert meant(system) == wanted


def test_a_package_may_have_a_system_whose_url_is_nearly_anothers() -> None:
    own = {**OWN, "url": "https://loinc.org"}
    found = validate(
        medication({"system": "https://loinc.org", "code": "a"}), R4, options=Options(profiles=Profiles([own]))
    )
    assert "system-near-miss" not in {one.rule for one in found}


@pytest.mark.parametrize(
    ("quantity", "rule", "remedy"),
    [
        ({"code": "MG"}, "unit-case", "mg"),
        ({"code": "MG", "unit": "MG"}, "unit-case", "mg"),
        ({"code": "MG", "unit": "mg"}, "unit-case", "mg"),
        ({"code": "MG", "unit": "megagauss"}, None, None),
        ({"code": "mg"}, None, None),
        ({"code": "mcg", "unit": "mcg"}, "ucum-unit", "ug"),
        ({"code": "Mg"}, None, None),
    ],
)
def test_units_are_told_from_what_they_look_like(quantity: Item, rule: str | None, remedy: str | None) -> None:
    strength = {
        "numerator": {"value": 1, "system": "http://unitsofmeasure.org", **quantity},
        "denominator": {"value": 1},
    }
    resource = {
        "resourceType": "Medication",
        "ingredient": [{"itemCodeableConcept": {"text": "x"}, "strength": strength}],
    }
    found = [one for one in validate(resource, R4) if one.rule in ("unit-case", "ucum-unit", "bad-unit")]
    assert [one.rule for one in found] == ([] if rule is None else [rule])
    if remedy is not None:
        assert found[0].remedy == f"Did you mean {remedy!r}?"


@pytest.mark.parametrize(
    ("quantity", "wrong"),
    [
        ({"system": "http://unitsofmeasure.org", "code": "mo"}, None),
        ({"system": "http://unitsofmeasure.org", "code": "month"}, "Did you mean 'mo'?"),
        ({"system": "http://example.org/units", "code": "mo"}, "The codes are of http://unitsofmeasure.org."),
    ],
)
def test_a_binding_to_ucum_takes_no_other_units(quantity: Item, wrong: str | None) -> None:
    check = binding_check(R4, Binding("required", "http://hl7.org/fhir/ValueSet/ucum-units"), "Quantity")
    assert check is not None
    run = Run({}, definitions(R4), Options())
    check({"value": 1, **quantity}, None, run)
    assert [one.remedy for one in run.findings] == ([] if wrong is None else [wrong])
