"""Parts of a resource: `_summary` and `_elements`. https://hl7.org/fhir/R5/search.html#summary and #elements"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}

# What no subset leaves out: without them the resource could not be told from another, or would be read wrong.
_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules"})


def subset(body: bytes, version: FhirVersion, summary: str, elements: Collection[str]) -> bytes:
    """The JSON text of a resource cut down to what `_summary` or `_elements` asks for, tagged SUBSETTED."""
    resource: JSON = parse(body)
    kind = resource["resourceType"]
    if elements:
        kept = {
            key: value
            for key, value in resource.items()
            if key.removeprefix("_") in _wanted(version, kind, frozenset(elements))
        }
    elif summary == "true":
        kept = _summary(resource, kind, version)
    elif summary == "text":
        kept = {
            key: value
            for key, value in resource.items()
            if key.removeprefix("_") in _wanted(version, kind, frozenset({"text"}))
        }
    else:  # data
        kept = {key: value for key, value in resource.items() if key != "text"}
    meta = kept.get("meta") or {}
    tags = [tag for tag in meta.get("tag", ()) if tag.get("code") != "SUBSETTED"]
    kept["meta"] = {**meta, "tag": [*tags, SUBSETTED]}
    return dumps(_in_order(kept))


def _in_order(resource: JSON) -> JSON:
    """`meta` after `resourceType` and `id`, where readers expect it."""
    first = {key: resource[key] for key in ("resourceType", "id", "meta") if key in resource}
    return first | resource


@lru_cache(maxsize=1024)
def _wanted(version: FhirVersion, kind: str, elements: frozenset[str]) -> frozenset[str]:
    """The JSON names of the elements asked for, the mandatory and the modifier elements, a choice in all its types."""
    structure = definitions(version).structure(kind)
    kept = set(_ALWAYS)
    for key, one in structure.properties.items():
        name = one.element.name.removesuffix("[x]")
        if name in elements or one.element.min > 0 or one.element.is_modifier:
            kept.add(key)
    return frozenset(kept)


def _summary(json: Any, structure: str, version: FhirVersion) -> Any:
    """Only summary elements, at every depth of backbone elements; data types stay whole."""
    kept: JSON = {}
    properties = definitions(version).structure(structure).properties
    for key, value in json.items():
        if key == "resourceType" and "." not in structure:
            kept[key] = value
            continue
        one = properties.get(key.removeprefix("_"))
        if one is None or not one.element.is_summary:
            continue
        if one.structure.startswith(f"{structure}.") and not key.startswith("_"):
            value = (
                [_summary(item, one.structure, version) for item in value]
                if isinstance(value, list)
                else _summary(value, one.structure, version)
            )
        kept[key] = value
    return kept
