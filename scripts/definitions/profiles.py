"""The profiles on resources published with a release to `profiles.json`, cut down to what instances are checked for
(https://hl7.org/fhir/R5/profilelist.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.fhir.definitions import Definitions
from apothecary.validation.profiles.compile import compile_rules
from apothecary.validation.profiles.model import ElementRules
from apothecary.validation.profiles.tree import Branch, overlay
from scripts.definitions.ledger import Repairs
from scripts.definitions.packages import Resource, Source

HL7 = "http://hl7.org/fhir/StructureDefinition/"
_VITAL_SIGNS = HL7 + "vitalsigns"
_UNITS = "http://hl7.org/fhir/ValueSet/ucum-vitals-common"
_KEPT = ("resourceType", "url", "version", "name", "type", "fhirVersion", "derivation", "baseDefinition")
_OF_ELEMENT = frozenset(
    {"id", "path", "sliceName", "slicing", "min", "max", "maxLength", "mustHaveValue", "valueAlternatives"}
)
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_OF_TYPE = frozenset({"code", "profile", "targetProfile", "aggregation", "versioning"})
_OF_CONSTRAINT = frozenset({"key", "severity", "human", "expression"})
_OF_SLICING = frozenset({"discriminator", "ordered", "rules"})


def profiles(source: Source, tables: Definitions, repairs: Repairs) -> dict[str, Resource]:
    """All of them by canonical url. Of the snapshots, as large as the types themselves, those elements are left that
    ask anything beyond the type.
    """
    return {
        url: _profile(definition, tables, repairs)
        for url, definition in sorted(source.structures.items())
        if definition.get("derivation") == "constraint" and tables.is_resource_type(str(definition["type"]))
    }


def vital_signs(source: Source) -> dict[str, str]:
    """The profile of each vital sign by the LOINC code that it asks for
    (https://hl7.org/fhir/R5/observation-vitalsigns.html).
    """
    found: dict[str, str] = {}
    for url, definition in sorted(source.structures.items()):
        if definition.get("baseDefinition") == _VITAL_SIGNS:
            for element in definition["differential"]["element"]:
                code = element.get("fixedCode") or element.get("patternCode")
                if element["path"] == "Observation.code.coding.code" and code:
                    found[code] = url
    return dict(sorted(found.items()))


def value_sets(published: dict[str, Resource]) -> Iterator[str]:
    """The value sets that profiles bind required or extensible."""
    for profile in published.values():
        for element in profile.get("snapshot", profile.get("differential"))["element"]:
            binding = element.get("binding", {})
            if binding.get("strength") in ("required", "extensible") and "valueSet" in binding:
                yield binding["valueSet"].partition("|")[0]


def _profile(definition: Resource, tables: Definitions, repairs: Repairs) -> Resource:
    kept = {name: definition[name] for name in _KEPT if name in definition}
    if "snapshot" not in definition:  # A fragment, which has a differential only.
        return {**kept, "differential": {"element": [_element(one) for one in definition["differential"]["element"]]}}
    elements = [_repaired(one, repairs) for one in definition["snapshot"]["element"]]
    name = str(definition["type"])
    rules = compile_rules(overlay(Branch(name, name), elements), tables.structure(name), tables, definition["name"])
    asked = dict(_all(rules))
    return {**kept, "snapshot": {"element": [_asked(one, asked[one["id"]]) for one in elements if one["id"] in asked]}}


def _repaired(element: Resource, repairs: Repairs) -> Resource:
    binding = element.get("binding", {})
    asks_units = binding.get("strength") == "required" and binding.get("valueSet", "").partition("|")[0] == _UNITS
    # R5 binds quantities only; what is bound with every other type that the element has cannot be meant.
    if not asks_units or element["id"] != "Observation.component.value[x]":
        return element
    repairs.apply_rule("units of vital signs", element["id"])
    return {**element, "binding": {**binding, "strength": "extensible"}}


def _all(rules: ElementRules) -> Iterator[tuple[str, ElementRules]]:
    yield rules.id, rules
    for inner in (*rules.slices, *rules.children):
        yield from _all(inner)


def _asked(element: Resource, rules: ElementRules) -> Resource:
    found = _element(element)
    keys = {each.key for each in rules.constraints}
    constraints = [each for each in found.pop("constraint", []) if each["key"] in keys]
    return {**found, "constraint": constraints} if constraints else found


def _element(element: Resource) -> Resource:
    found = {name: value for name, value in element.items() if name in _OF_ELEMENT or name.startswith(_VALUES)}
    if "slicing" in found:
        found["slicing"] = _cut(found["slicing"], _OF_SLICING)
    if "type" in element:
        found["type"] = [_cut(each, _OF_TYPE) for each in element["type"]]
    if "constraint" in element:
        found["constraint"] = [_cut(each, _OF_CONSTRAINT) for each in element["constraint"]]
    binding = element.get("binding", {})
    if binding.get("strength") in ("required", "extensible"):
        found["binding"] = _cut(binding, frozenset({"strength", "valueSet"}))
    return found


def _cut(value: Resource, names: frozenset[str]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name in names}
