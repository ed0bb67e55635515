"""The elements of a resource in the order of the specification: https://hl7.org/fhir/R5/json.html"""

from __future__ import annotations

from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion


def in_order(resource: JSON) -> JSON:
    """A copy of a resource (R5) with the elements of each object in order, `_name` right behind `name`."""
    ordered: JSON = _ordered(resource, resource["resourceType"])
    return ordered


def _ordered(value: Any, type_name: str) -> Any:
    if isinstance(value, list):
        return [_ordered(one, type_name) for one in value]
    if not isinstance(value, dict):
        return value
    known = definitions(FhirVersion.R5)
    if isinstance(value.get("resourceType"), str):
        type_name = value["resourceType"]
    properties = known.structure(type_name).properties if known.has_structure(type_name) else {}
    places = {name: place for place, name in enumerate(["resourceType", *properties])}
    found = {}
    for key in sorted(value, key=lambda one: (places.get(one.removeprefix("_"), len(places)), one.startswith("_"))):
        declared = properties.get(key.removeprefix("_"))
        found[key] = _ordered(value[key], declared.structure if declared is not None else "")
    return found
