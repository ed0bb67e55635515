"""CodeSystem resources as the tables that the package ships: https://hl7.org/fhir/R5/codesystem.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.fhir.terminology import CodeSystem

# Properties that make the hierarchy, by their usual codes and by the uris that say the same of others:
# https://hl7.org/fhir/R5/codesystem-concept-properties.html
_UPWARDS = frozenset({"parent", "subsumedBy"})
_DOWNWARDS = frozenset({"child"})
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"


def code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource, of any FHIR version, as tables. What it nests stands below what it is nested in."""
    names = {
        one["code"]: one["uri"].removeprefix(_PROPERTIES)
        for one in resource.get("property", ())
        if one.get("uri", "").startswith(_PROPERTIES) and "code" in one
    }
    concepts: dict[str, str] = {}
    parents: dict[str, dict[str, None]] = {}
    properties: dict[str, dict[str, tuple[str, ...]]] = {}
    waiting: list[tuple[Mapping[str, Any], str | None]] = [(one, None) for one in reversed(resource.get("concept", ()))]
    while waiting:
        concept, above = waiting.pop()
        code = concept.get("code")
        if not isinstance(code, str):
            continue
        concepts[code] = concept.get("display", "")
        if above is not None:
            parents.setdefault(code, {})[above] = None
        for one in concept.get("property", ()):
            value = _text(one)
            name = names.get(one.get("code"), one.get("code"))
            if value is None or name is None:
                continue
            if name in _UPWARDS:
                parents.setdefault(code, {})[value] = None
            elif name in _DOWNWARDS:
                parents.setdefault(value, {})[code] = None
            else:
                values = properties.setdefault(name, {})
                values[code] = (*values.get(code, ()), value)
        waiting += [(nested, code) for nested in reversed(concept.get("concept", ()))]
    return CodeSystem(
        resource["url"],
        concepts,
        {code: tuple(sorted(above)) for code, above in parents.items()},
        resource.get("caseSensitive"),
        resource.get("content", "complete"),
        properties,
        resource.get("version"),
    )


def _text(item: Mapping[str, Any]) -> str | None:
    """The value of a concept's property: a Coding as its code, a boolean as the specification writes it."""
    for name, value in item.items():
        if name.startswith("value"):
            if isinstance(value, dict):
                return value.get("code")
            return str(value).lower() if isinstance(value, bool) else str(value)
    return None
