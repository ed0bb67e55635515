"""The compiled part of FHIRPath: what search expressions select, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.fhir.paths import PathError, compile_path
from apothecary.fhir.releases import FhirVersion

MEDICATION: dict[str, Any] = {
    "resourceType": "Medication",
    "id": "m",
    "status": "active",
    "code": {"coding": [{"system": "s", "code": "a"}, {"system": "s", "code": "b"}], "text": "t"},
    "ingredient": [
        {"item": {"concept": {"text": "one"}}, "isActive": True},
        {"item": {"reference": {"reference": "Substance/1"}}, "isActive": False},
        {"item": {"reference": {"reference": "https://ex.org/Medication/2"}}},
    ],
    "extension": [{"url": "http://x", "valueCode": "c"}, {"url": "http://y", "valueString": "s"}],
    "contained": [{"resourceType": "Substance", "id": "c"}],
}

SELECTED = (
    ("Medication.status", [("code", "active")]),
    ("status", [("code", "active")]),
    ("Resource.id", [("id", "m")]),
    ("Medication.code.coding.code", [("code", "a"), ("code", "b")]),
    ("Medication.code.coding[1].code", [("code", "b")]),
    ("Medication.code.coding.where(code = 'b').system", [("uri", "s")]),
    ("Medication.code.coding.where(code != 'b').code", [("code", "a")]),
    ("Medication.code.coding.where(code = 'a' and system = 's').code", [("code", "a")]),
    ("Medication.code.coding.where(code = 'x' or system = 's').code", [("code", "a"), ("code", "b")]),
    ("Medication.status | Medication.code.text", [("code", "active"), ("string", "t")]),
    ("Medication.ingredient.where(isActive = true).item.concept.text", [("string", "one")]),
    ("Medication.ingredient.item.reference.where(resolve() is Substance).reference", [("string", "Substance/1")]),
    ("Medication.extension('http://x').value.ofType(code)", [("code", "c")]),
    ("Medication.extension.value as string", [("string", "s")]),
    ("(Medication.extension.value as string)", [("string", "s")]),
    ("Medication.contained.ofType(Substance).id", [("id", "c")]),
    ("Medication.code.exists()", [("boolean", True)]),
    ("Medication.batch.exists()", [("boolean", False)]),
    ("Medication.code.hasExtension('http://x')", [("boolean", False)]),
    ("Medication.code.text.matches('^t$')", [("boolean", True)]),
    ("Medication.batch.lotNumber", []),
)


@pytest.mark.parametrize(("expression", "expected"), SELECTED)
def test_an_expression_selects_values_with_their_types(expression: str, expected: list[tuple[str, Any]]) -> None:
    assert list(compile_path(FhirVersion.R5, "Medication", expression).values(MEDICATION)) == expected


REFUSED = (
    ("Medication.bogus", "bogus"),
    ("Patient.name", "starts at Patient"),
    ("Medication.status as CodeableConcept", "never a CodeableConcept"),
    ("Medication.code.where(", "more"),
    ("Medication.code.iif(true, 1, 2)", "iif"),
    ("Medication.code + 1", "read"),
    ("Medication.code)", r"\)"),
    ("Medication.code.where(coding)", "comparison"),
    ("Medication.code is CodeableConcept", "resolve"),
    ("", "more"),
    (r"Medication.code.text.matches('(a)\\1')", "invalid escape"),
    ("Medication.code.text.matches('a(?=b)')", "perl operator"),
    ("Medication.extension" + ".value.extension" * 4, "more ways"),
    ("(" * 3_000 + "Medication.code" + ")" * 3_000, "deep"),
    ("Medication.code" + " | Medication.code" * 1_000, "characters"),
)


@pytest.mark.parametrize(("expression", "reason"), REFUSED)
def test_an_expression_outside_the_part_is_refused_when_it_is_compiled(expression: str, reason: str) -> None:
    with pytest.raises(PathError, match=reason):
        compile_path(FhirVersion.R5, "Medication", expression)


def test_a_pattern_that_never_ends_elsewhere_is_matched_at_once() -> None:
    path = compile_path(FhirVersion.R5, "Medication", "Medication.code.text.matches('^(a|a)*b$')")
    assert list(path.values({"code": {"text": "a" * 100_000}})) == [("boolean", False)]


def test_a_pattern_that_costs_too_much_on_a_long_text_is_told() -> None:
    path = compile_path(FhirVersion.R5, "Medication", r"Medication.code.text.matches('\\S{1,1000}!')")
    with pytest.raises(PathError, match="too many steps"):
        list(path.values({"code": {"text": "a" * 1_000_000}}))
