"""What a resource is called, whatever its type, and what a table of search results says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.fhir.json import JSON

# Where a name may stand, in the order in which people look for it.
_NAMES = ("title", "name", "code", "description", "display", "identifier", "url", "type")
_BY_CODE = frozenset({"Medication", "MedicationKnowledge"})


def title_of(resource: JSON) -> str:
    """What a person calls it: a title, a name, a code; its id where it has none."""
    use = resource.get("type")
    if resource.get("resourceType") == "ClinicalUseDefinition" and isinstance(use, str):
        said = _statement(resource, use)
        if said:
            return said
    # All strengths of a brand have its name; what is coded tells them apart.
    for name in ("code", *_NAMES) if resource.get("resourceType") in _BY_CODE else _NAMES:
        said = words(resource.get(name))
        if said:
            return said
    return str(resource.get("id", resource.get("resourceType", "")))


def _statement(resource: JSON, use: str) -> str:
    """What a clinical use is about: https://hl7.org/fhir/R5/clinicalusedefinition.html"""
    part = resource.get({"undesirable-effect": "undesirableEffect"}.get(use, use))
    if not isinstance(part, dict):
        return ""
    for name in ("diseaseSymptomProcedure", "symptomConditionEffect", "description", "effect", "code", "interactant"):
        if said := words(part.get(name)):
            return said
    return ""


def words(value: Any) -> str:
    """A value in a few words: the text of a concept, the display of its first code, the first of a list."""
    if isinstance(value, str):
        return value[:300]
    if isinstance(value, list):
        return next((said for one in value if (said := words(one))), "")
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("coding"), list) and not value.get("text"):
        return next((words(one) for one in value["coding"] if words(one)), "")
    for name in (
        "text",
        "display",
        "concept",
        "productName",
        "family",
        "value",
        "code",
        "reference",
        "itemCodeableConcept",
    ):
        if said := words(value.get(name)):
            return said
    return ""


def columns(resource: JSON) -> Mapping[str, str]:
    """What a table says of it besides its name and status."""
    found = {}
    for label, names in (("form", ("doseForm", "form")), ("category", ("category", "type")), ("code", ("code",))):
        for name in names:
            value = resource.get(name) or (resource.get("definitional") or {}).get(name)
            if label == "code":
                coding = (value or {}).get("coding") if isinstance(value, dict) else None
                said = words(coding[0].get("code")) if coding and isinstance(coding[0], dict) else ""
            else:
                said = words(value)
            if said:
                found[label] = said
                break
    return found


def status_of(resource: JSON) -> str:
    """Its status, in whatever form it has one."""
    value = resource.get("status", resource.get("active"))
    return {True: "active", False: "inactive"}[value] if isinstance(value, bool) else words(value)


def meta_of(resource: JSON) -> JSON:
    """What is known of its version."""
    found = resource.get("meta")
    return found if isinstance(found, dict) else {}
