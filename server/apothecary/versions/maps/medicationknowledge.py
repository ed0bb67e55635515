"""MedicationKnowledge: https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R4/medicationknowledge.html."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.json import JSON
from apothecary.versions.rules import Map, Value

_ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
# The hierarchy of https://terminology.hl7.org/CodeSystem-v3-RoleClass.html below ingredient.
_ACTIVE = frozenset({"ACTI", "ACTIB", "ACTIM", "ACTIR"})
_INACTIVE = frozenset({"IACT", "COLR", "FLVR", "PRSV", "STBL"})


def _role(active: bool) -> JSON:
    return {"coding": [{"system": _ROLE_CLASS, "code": "ACTI" if active else "IACT"}]}


def _is_active(role: JSON) -> bool | None:
    for coding in role.get("coding", ()):
        if coding.get("system") == _ROLE_CLASS:
            if coding.get("code") in _ACTIVE:
                return True
            if coding.get("code") in _INACTIVE:
                return False
    return None


def _schedule(concept: JSON) -> JSON:
    return {"schedule": concept}


def _schedule_concept(schedule: JSON) -> JSON | None:
    return schedule.get("schedule")


def _text(words: str) -> JSON:
    return {"text": words}


def _words(concept: JSON) -> Any:
    if "text" in concept:
        return concept["text"]
    return next((coding["display"] for coding in concept.get("coding", ()) if "display" in coding), None)


MAPS = (
    Map(
        "MedicationKnowledge",
        "MedicationKnowledge",
        renames={"synonym": "name", "administrationGuidelines": "indicationGuideline"},
        newer_parts=("definitional",),
    ),
    Map(
        "MedicationKnowledge.ingredient",
        "MedicationKnowledge.definitional.ingredient",
        renames={"isActive": "type"},
        values={"isActive": Value(_role, _is_active, "true is the v3 role class ACTI, false IACT")},
    ),
    Map(
        "MedicationKnowledge.administrationGuidelines",
        "MedicationKnowledge.indicationGuideline",
        renames={"patientCharacteristics": "dosingGuideline.patientCharacteristic"},
        newer_parts=("dosingGuideline",),
    ),
    Map(
        "MedicationKnowledge.administrationGuidelines.patientCharacteristics",
        "MedicationKnowledge.indicationGuideline.dosingGuideline.patientCharacteristic",
        renames={"characteristic": "type"},
        values={"value": Value(_text, _words, "the text of the concept, or else a display")},
    ),
    Map(
        "MedicationKnowledge.regulatory",
        "MedicationKnowledge.regulatory",
        values={"schedule": Value(_schedule_concept, _schedule, "R4 nests the concept once more")},
    ),
)
