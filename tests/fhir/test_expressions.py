"""Search expressions are cut, repaired and followed as FHIRPath means them."""

from __future__ import annotations

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.expressions import (
    ExpressionError,
    branches,
    branches_for,
    leads_to,
    reference_test,
    repair_expression,
    split_top,
)
from apothecary.fhir.releases import FhirVersion

STRUCTURE = definitions(FhirVersion.R5).structure


@pytest.mark.parametrize(("published", "repaired"), [
    ("Medication.code", "Medication.code"),
    ("(Medication.ingredient.item as Reference)", "Medication.ingredient.item.ofType(Reference)"),
    ("Medication.ingredient.item as Reference", "Medication.ingredient.item.ofType(Reference)"),
    ("(Observation.value as CodeableConcept).text", "Observation.value.ofType(CodeableConcept).text"),
    ("Condition.onset.as(Age) | Condition.onset.as(Range)",
     "Condition.onset.ofType(Age) | Condition.onset.ofType(Range)"),
    ("Bundle.entry[0].resource as Composition", "Bundle.entry[0].resource.ofType(Composition)"),
    ("Account.subject.where(resolve() is Patient)", f"Account.subject.where({reference_test('Patient')})"),
])  # fmt: skip
def test_an_expression_is_repaired(published: str, repaired: str) -> None:
    assert repair_expression(published) == repaired
    assert repair_expression(repaired) == repaired


def test_a_union_is_cut_only_at_its_own_bars() -> None:
    assert branches("A.b | (A.c | A.d).first() | A.e.where(f='|')") == [
        "A.b",
        "(A.c | A.d).first()",
        "A.e.where(f='|')",
    ]
    assert split_top("a.b('x.y').c", ".") == ["a", "b('x.y')", "c"]


def test_a_type_gets_its_own_branches_and_the_unrooted_ones_only_without_any() -> None:
    union = "Medication.code | MedicationKnowledge.code | (start | end)"
    assert branches_for(union, "Medication") == ["Medication.code"]
    assert branches_for(union, "Appointment") == ["(start | end)"]
    assert branches_for("Medication.code", "Appointment") == []


@pytest.mark.parametrize(("expression", "types"), [
    ("Medication.code", {"CodeableConcept"}),
    ("Medication.ingredient", {"Medication.ingredient"}),
    ("MedicationKnowledge.packaging.cost.cost", {"Money", "CodeableConcept"}),
    ("MedicationKnowledge.packaging.cost.cost.ofType(Money)", {"Money"}),
    ("Patient.telecom.where(system = 'email').value", {"string"}),
    ("Patient.deceased.exists() and Patient.deceased != false", {"boolean"}),
    ("Bundle.entry[0].resource.ofType(Composition)", {"Composition"}),
    ("(Appointment.start | Appointment.requestedPeriod).first()", {"instant", "Period"}),
    ("Medication.extension('http://example.org')", {"Extension"}),
])  # fmt: skip
def test_an_expression_leads_to_types(expression: str, types: set[str]) -> None:
    assert leads_to(expression, STRUCTURE) == types


def test_a_relative_path_starts_where_it_is_told() -> None:
    assert leads_to("item.concept", STRUCTURE, "Medication.ingredient") == {"CodeableConcept"}
    assert leads_to("%resource.code", STRUCTURE, "Medication.ingredient", "Medication") == {"CodeableConcept"}


@pytest.mark.parametrize("expression", [
    "",
    "code",
    "Medication.form",
    "Medication.code.ofType(Quantity)",
    "Medication.code.nope()",
    "Medication.code.where(nope())",
    "Medication..code",
    "Medication.code.coding + 1",
])  # fmt: skip
def test_a_broken_expression_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        leads_to(expression, STRUCTURE)
