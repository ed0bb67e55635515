"""Resources that fill every element, made from the definitions.

Each variant takes the next type of a choice, the next code and the next target of a reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from apothecary.fhir.definitions import Definitions, Element, Property, definitions
from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.fhir.releases import FhirVersion

_DEEPEST = 5
_PRIMITIVES: dict[str, Any] = {
    "boolean": True,
    "integer": 7,
    "integer64": "7",
    "positiveInt": 7,
    "unsignedInt": 7,
    "decimal": FhirDecimal("1.50"),
    "date": "2024-02-29",
    "dateTime": "2024-02-29T12:00:00Z",
    "instant": "2024-02-29T12:00:00.123Z",
    "time": "12:00:00",
    "base64Binary": "TWFu",
    "uri": "http://example.org/thing",
    "url": "http://example.org/thing",
    "canonical": "http://example.org/thing|1",
    "oid": "urn:oid:1.2.3",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "id": "a-1",
    "code": "a-code",
    "string": "Some text",
    "markdown": "Some *text*",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">Text</div>',
}
_FRAME = frozenset({"id", "extension", "modifierExtension", "contained", "implicitRules"})
_NOTE = {"url": "http://example.org/StructureDefinition/note", "valueString": "kept"}


def resources(version: FhirVersion, resource_type: str, variants: int = 6) -> Iterator[JSON]:
    """`variants` resources of the type; together they use each type of its choices, as long as those are no more."""
    for variant in range(variants):
        made = _Maker(definitions(version), variant).structure(resource_type, 0)
        yield {"resourceType": resource_type, **made}


def pruned(version: FhirVersion, resource: JSON, choose: Callable[[], bool]) -> JSON:
    """`resource` with only those of its optional elements that `choose` lets be, at every depth."""
    kept = _pruned(definitions(version), resource["resourceType"], resource, choose)
    return {"resourceType": resource["resourceType"], **kept}


def _pruned(tables: Definitions, name: str, value: JSON, choose: Callable[[], bool]) -> JSON:
    properties = tables.structure(name).properties
    kept: JSON = {}
    for key, one in value.items():
        found = properties.get(key.removeprefix("_"))
        if found is None or not (found.element.min or choose()):
            continue
        if key[0] != "_" and found.type not in _PRIMITIVES and key != "extension":
            # An object that would be left empty is kept whole: FHIR has no empty objects, and it may be required.
            items = [
                _pruned(tables, found.structure, item, choose) or item for item in (one if type(one) is list else [one])
            ]
            kept[key] = items if type(one) is list else items[0]
        elif key[0] != "_" or type(one) is dict or key[1:] in kept:
            kept[key] = one
    return kept


class _Maker:
    def __init__(self, tables: Definitions, variant: int) -> None:
        self.tables = tables
        self.variant = variant
        self.count = variant

    def structure(self, name: str, depth: int) -> JSON:
        """A value with every element; deep down, only with the required ones."""
        structure = self.tables.structure(name)
        by_path: dict[str, list[Property]] = {}
        for one in structure.properties.values():
            by_path.setdefault(one.element.path, []).append(one)
        made: JSON = {}
        for element in structure.elements:
            types = by_path.get(element.path, [])
            if not types or self._is_left_out(element, types, depth):
                continue
            self._fill(made, types[self.variant % len(types)], depth)
        if not made:
            choices = [one for one in structure.properties.values() if one.element.name not in _FRAME]
            self._fill(made, next((one for one in choices if one.type in _PRIMITIVES), choices[0]), depth)
        if structure.kind == "resource" and "extension" in structure.properties:
            made["extension"] = [dict(_NOTE)]
        return made

    def _is_left_out(self, element: Element, types: list[Property], depth: int) -> bool:
        name = element.name
        if name in _FRAME - {"id"} or types[0].type == "Resource":
            return True
        if element.min:
            return False
        return depth >= _DEEPEST or (depth > 1 and name == "id") or (depth > 2 and bool(element.content_reference))

    def _fill(self, made: JSON, one: Property, depth: int) -> None:
        many = one.element.is_list
        values = [self._value(one, depth) for _ in range(2 if many and depth < 3 else 1)]
        made[one.name] = values if many else values[0]
        self.count += 1
        if one.type in _PRIMITIVES and one.type != "xhtml" and one.name != "id" and self.count % 5 == 0:
            beside: list[JSON | None] = [{"extension": [dict(_NOTE)]}, *([None] * (len(values) - 1))]
            made["_" + one.name] = beside if many else beside[0]

    def _value(self, one: Property, depth: int) -> Any:
        if one.type in _PRIMITIVES:
            return self._code(one) if one.type == "code" else _PRIMITIVES[one.type]
        if one.type == "Reference":
            return self._reference(one)
        if one.type == "CodeableReference":
            both: JSON = {}
            if self.variant % 3 != 0:
                both["concept"] = {"text": "a concept"}
            if self.variant % 3 != 1:
                both["reference"] = self._reference(one)
            return both
        made = self.structure(one.structure, depth + 1)
        binding = one.element.binding
        if one.type == "CodeableConcept" and binding and binding.strength == "required":
            values = self.tables.value_set(binding.value_set)
            if values and values.concepts:
                system, concepts = next(iter(values.concepts.items()))
                made["coding"] = [{"system": system, "code": min(concepts)}]
        return made

    def _code(self, one: Property) -> str:
        binding = one.element.binding
        values = self.tables.value_set(binding.value_set) if binding and binding.strength == "required" else None
        codes = sorted({code for concepts in values.concepts.values() for code in concepts}) if values else []
        self.count += 1
        return codes[self.count % len(codes)] if codes else "a-code"

    def _reference(self, one: Property) -> JSON:
        targets = next(type_ref.targets for type_ref in one.element.types if type_ref.code == one.type)
        target = targets[self.variant % len(targets)] if targets else "Resource"
        return {"reference": f"{'Patient' if target == 'Resource' else target}/a-1", "display": "A display"}
