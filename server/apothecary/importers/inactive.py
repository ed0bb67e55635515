"""What a catalogue has no more is not deleted: it stays, and says that it is not active.

Which status says so stands in the definitions of each type, as https://hl7.org/fhir/R5/valueset-publication-status.html
or https://hl7.org/fhir/R5/valueset-medication-status.html.
"""

from __future__ import annotations

from functools import cache

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion

# The code of a status that stands for it: the first of these that there is.
CODES = ("inactive", "retired", "superseded", "deprecated")


def inactive(resource: JSON) -> JSON | None:
    """An R5 resource as one that is not active; None where its type cannot say so. One that is not active already, or
    was entered in error, comes back as it is.
    """
    found = _says(str(resource.get("resourceType")))
    if found is None:
        return None
    name, value, codes = found
    if resource.get(name) == value or _codes(resource.get(name)) & codes:
        return resource
    return {**resource, name: value} if name in resource else _placed(resource, name, value)


def _placed(resource: JSON, name: str, value: object) -> JSON:
    """With a new element behind those that every resource may have before its own."""
    before = {"resourceType", "id", "meta", "implicitRules", "language", "text"}
    first = {key: one for key, one in resource.items() if key in before}
    return {**first, name: value, **{key: one for key, one in resource.items() if key not in before}}


def _codes(status: object) -> set[str]:
    if isinstance(status, str):
        return {status}
    coding = status.get("coding", []) if isinstance(status, dict) else []
    return {str(one.get("code")) for one in coding if isinstance(one, dict)}


@cache
def _says(kind: str) -> tuple[str, object, frozenset[str]] | None:
    """The element that says it, its value, and the codes that say no less."""
    known = definitions(FhirVersion.R5)
    if not known.is_resource_type(kind):
        return None
    for element in known.structure(kind).elements:
        types = {one.code for one in element.types}
        if element.path == f"{kind}.active" and types == {"boolean"}:
            return "active", False, frozenset()
        if element.path != f"{kind}.status" or element.binding is None:
            continue
        values = known.value_set(element.binding.value_set)
        for code in CODES:
            for system, codes in (values.codes if values is not None else {}).items():
                if code in codes:
                    value = code if types == {"code"} else {"coding": [{"system": system, "code": code}]}
                    return "status", value, frozenset({code, "entered-in-error"})
    return None
