"""Medication, MedicationAdministration and ClinicalUseDefinition: https://hl7.org/fhir/R5/medication.html."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.json import JSON
from apothecary.versions.maps.dividing import reasons
from apothecary.versions.rules import Map, Regrouped, Value


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


_ADHERENCE = "http://hl7.org/fhir/CodeSystem/medication-statement-adherence"
# https://hl7.org/fhir/R4/valueset-medication-statement-status.html and
# https://hl7.org/fhir/R5/valueset-medication-statement-adherence.html
_TAKEN = {
    "active": "taking",
    "not-taken": "not-taking",
    "on-hold": "on-hold",
    "stopped": "stopped",
    "unknown": "unknown",
}
_NOT_TAKEN = {
    **{adherence: status for status, adherence in _TAKEN.items()},
    "taking-as-directed": "active",
    "taking-not-as-directed": "active",
    "on-hold-as-directed": "on-hold",
    "on-hold-not-as-directed": "on-hold",
    "stopped-as-directed": "stopped",
    "stopped-not-as-directed": "stopped",
    "not-taking-as-directed": "not-taken",
    "not-taking-not-as-directed": "not-taken",
}


def _statement_newer(older: JSON) -> JSON:
    status = older.get("status")
    if status in ("entered-in-error", None):
        return {"status": status} if status else {}
    found: JSON = {"status": "recorded"}
    if status in _TAKEN:
        found["adherence"] = {"code": {"coding": [{"system": _ADHERENCE, "code": _TAKEN[status]}]}}
    return found


def _statement_older(newer: JSON) -> JSON:
    status = newer.get("status")
    if status == "entered-in-error":
        return {"status": status}
    codings = newer.get("adherence", {}).get("code", {}).get("coding", ())
    said = [_NOT_TAKEN[one["code"]] for one in codings if one.get("code") in _NOT_TAKEN]
    if said:
        return {"status": said[0]}
    # That a statement is recorded says nothing of whether the medication is taken. HL7's map for trial use says
    # `completed` (https://hl7.org/fhir/extensions/StructureMap-MedicationStatement5to4.html), but for R4 that is no
    # longer taken; `unknown` claims nothing: https://hl7.org/fhir/R4/valueset-medication-statement-status.html
    return {"status": "unknown"} if status else {}


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
        regrouped=(reasons(),),
    ),
    Map("MedicationRequest", "MedicationRequest", regrouped=(reasons(),)),
    Map("MedicationRequest.dispenseRequest", "MedicationRequest.dispenseRequest", renames={"performer": "dispenser"}),
    Map(
        "MedicationDispense",
        "MedicationDispense",
        renames={"context": "encounter", "statusReason": "notPerformedReason"},
    ),
    Map(
        "MedicationStatement",
        "MedicationStatement",
        renames={"context": "encounter"},
        regrouped=(
            reasons(),
            Regrouped(
                ("status",),
                ("status", "adherence"),
                _statement_newer,
                _statement_older,
                "R4 says by it how the medication is taken, which is R5's adherence",
            ),
        ),
    ),
    # R4 has no ClinicalUseDefinition; these are the tables for R4B.
    Map(
        "ClinicalUseDefinition.contraindication.otherTherapy",
        "ClinicalUseDefinition.contraindication.otherTherapy",
        renames={"therapy": "treatment"},
    ),
)
