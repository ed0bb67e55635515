"""Medication, MedicationAdministration and ClinicalUseDefinition: https://hl7.org/fhir/R5/medication.html."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.json import JSON
from apothecary.versions.rules import Map, Value


def _per_one(quantity: JSON) -> JSON:
    return {"numerator": quantity, "denominator": {"value": 1}}


def _of_one(ratio: JSON) -> JSON | None:
    # 1.0 is another literal than 1: only what `_per_one` writes is the same amount said differently.
    denominator: Any = ratio.get("denominator")
    if (
        ratio.keys() == {"numerator", "denominator"}
        and denominator == {"value": 1}
        and type(denominator["value"]) is int
    ):
        numerator: JSON = ratio["numerator"]
        return numerator
    return None


MAPS = (
    Map(
        "Medication",
        "Medication",
        renames={"manufacturer": "marketingAuthorizationHolder", "form": "doseForm", "amount": "totalVolume"},
        values={
            "amount": Value(_of_one, _per_one, "a Ratio to the number 1 is the Quantity; any other Ratio is carried")
        },
    ),
    # The name is R5's, with one r.
    Map(
        "MedicationAdministration",
        "MedicationAdministration",
        renames={"effective": "occurence", "context": "encounter"},
    ),
    # R4 has no ClinicalUseDefinition; these are the tables for R4B.
    Map(
        "ClinicalUseDefinition.contraindication.otherTherapy",
        "ClinicalUseDefinition.contraindication.otherTherapy",
        renames={"therapy": "treatment"},
    ),
)
