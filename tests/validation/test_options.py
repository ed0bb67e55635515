"""What a caller chooses: rules, severities, the type of a place, and which references are known."""

from typing import Any

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate

R5 = FhirVersion.R5
PRODUCT: dict[str, Any] = {
    "resourceType": "Medication",
    "status": "actve",
    "code": {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "1-2-3"}]},
}


def rules(options: Options, resource: Any = PRODUCT, version: FhirVersion = R5) -> dict[str | None, str]:
    return {issue.rule: issue.severity for issue in validate(resource, version, options=options)}


def test_the_rules_of_the_example_speak_by_default() -> None:
    assert rules(Options()) == {"code-not-in-value-set": "error", "ndc-format": "warning", "dom-6": "warning"}


def test_a_rule_can_be_switched_off_by_its_id_an_invariant_too() -> None:
    assert rules(Options(disabled=frozenset({"dom-6", "ndc-format"}))) == {"code-not-in-value-set": "error"}


def test_a_rule_can_be_given_another_severity() -> None:
    found = rules(Options(severities={"ndc-format": "error", "dom-6": "information"}))
    assert found == {"code-not-in-value-set": "error", "ndc-format": "error", "dom-6": "information"}


def test_without_medication_rules_only_the_specification_speaks() -> None:
    assert rules(Options(medication_rules=False)) == {"code-not-in-value-set": "error", "dom-6": "warning"}


def test_a_reference_is_asked_about_without_its_version() -> None:
    asked = []

    def known(reference: str) -> bool:
        asked.append(reference)
        return True

    resource = {
        "resourceType": "Medication",
        "marketingAuthorizationHolder": {"reference": "Organization/1/_history/2"},
    }
    validate(resource, R5, options=Options(known=known))
    assert asked == ["Organization/1"]


def test_what_a_bundle_holds_is_not_asked_about() -> None:
    holder = {
        "fullUrl": "http://example.org/fhir/Organization/1",
        "resource": {"resourceType": "Organization", "id": "1", "name": "x"},
    }
    product = {"resourceType": "Medication", "id": "1", "marketingAuthorizationHolder": {"reference": "Organization/1"}}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "http://example.org/fhir/Medication/1", "resource": product}, holder],
    }
    assert "unresolved-reference" not in rules(Options(known=lambda reference: False), bundle)
    bundle["entry"] = [bundle["entry"][0]]
    assert rules(Options(known=lambda reference: False), bundle)["unresolved-reference"] == "error"


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ({"resourceType": "Medicaton"}, "Did you mean 'Medication'?"),
        ({"resourceType": "Medication", "stauts": "active"}, "Did you mean 'status'?"),
        ({"resourceType": "Medication", "status": "actve"}, "Did you mean 'active'?"),
        (
            {"resourceType": "Medication", "definition": {"reference": "MedicationKnowlege/1"}},
            "Did you mean 'MedicationKnowledge'?",
        ),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_the_name_that_was_meant(written: Any, remedy: str) -> None:
    assert remedy in {issue.remedy for issue in validate(written, R5)}


@pytest.mark.parametrize(
    ("version", "resource_type", "known"),
    [
        (FhirVersion.R4, "MedicinalProduct", True),
        (FhirVersion.R5, "MedicinalProduct", False),
        (FhirVersion.R4, "ClinicalUseDefinition", False),
        (FhirVersion.R4B, "ClinicalUseDefinition", True),
    ],
)
def test_each_release_has_its_own_types(version: FhirVersion, resource_type: str, known: bool) -> None:
    found = rules(Options(), {"resourceType": resource_type}, version)
    assert ("resource-type-unknown" not in found) is known
