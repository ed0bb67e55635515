"""What a search meant is found among the parameters of the content, of other types and of other releases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.search.defined import Defining
from apothecary.search.registries import make_registries
from apothecary.search.suggestions import instead, instead_of_sent, unknown_elements
from apothecary.settings import Settings

FOLDER = Path(__file__).parent.parent.parent / "resources" / "SearchParameter"
REGISTRIES = make_registries(
    Settings(), [Defining(json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]
)
R4, R5 = REGISTRIES[FhirVersion.R4], REGISTRIES[FhirVersion.R5]


@pytest.mark.parametrize(
    ("types", "written", "meant"),
    [
        (["MedicationKnowledge"], "drugname", "Did you mean 'drug-name'?"),
        (["MedicationKnowledge"], "drug_name:text", "Did you mean 'drug-name'?"),
        (["MedicationKnowledge"], "drugnam", "Did you mean 'drug-name'?"),
        (["MedicationKnowledge"], "associatedMedication.code", "Did you mean 'associated-medication'?"),
        (["Medication"], "drug-name", "'drug-name' is a parameter of MedicationKnowledge."),
        (["Medication"], "indication", "'indication' is a parameter of ClinicalUseDefinition and MedicationKnowledge."),
        (
            ["Medication"],
            "name",
            "'name' is a parameter of ActivityDefinition, CapabilityStatement, CodeSystem and 19 more.",
        ),
        (["MedicationKnowledge"], "drug-name", None),
        (["Medication"], "", None),
        (["Medication"], "x" * 5000, None),
        (["Medication", "MedicationKnowledge"], "statuss", "Did you mean 'status'?"),
        ([], "_cuont", "Did you mean '_count'?"),
    ],
)
def test_a_parameter_is_found_by_what_it_was_probably_meant_for(
    types: list[str], written: str, meant: str | None
) -> None:
    assert instead(R5, types, written) == meant


def test_the_product_s_own_parameters_are_found_in_every_release() -> None:
    assert instead(R4, ["MedicationKnowledge"], "drugname") == "Did you mean 'drug-name'?"


def test_only_parameters_of_the_kind_that_will_do_are_suggested() -> None:
    assert instead(R5, ["Medication"], "manufacturr", ("reference",)) is None
    assert instead(R5, ["Medication"], "ingredients", ("reference",)) == "Did you mean 'ingredient'?"
    assert instead(R5, ["Medication"], "_limit", ("reference",)) is None


def test_the_few_parameters_of_an_interaction_are_found_too() -> None:
    known = ("_count", "_since", "_at")
    assert instead_of_sent("since", known) == "Did you mean '_since'?"
    assert instead_of_sent("limit", known) == "Did you mean '_count'?"
    assert instead_of_sent("fields", known) is None


def test_elements_are_those_of_the_release_and_of_any_searched_type() -> None:
    assert unknown_elements(FhirVersion.R4, ["Medication"], ["form", "doseForm", "code"]) == {"doseForm": None}
    assert unknown_elements(FhirVersion.R5, ["Medication"], ["form", "doseForm"]) == {"form": None}
    assert unknown_elements(FhirVersion.R5, ["Medication", "Group"], ["member", "doseForm", "id", "meta"]) == {}
    assert unknown_elements(FhirVersion.R5, ["ActivityDefinition"], ["subject", "timing"]) == {}
