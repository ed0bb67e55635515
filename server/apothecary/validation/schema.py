"""JSON Schemas compiled from the definitions: closed, with cardinality, choices, required codes
(https://json-schema.org/draft/2020-12).

Stricter than the published fhir.schema.json, and small: a schema holds only the types that its resource reaches.
What a schema cannot say (calendar dates, invariants, references, narrative) the walk checks; where both speak they
agree, which tests prove. Editors and other tools get these documents from `apothecary schema`.
https://hl7.org/fhir/R5/json.html#schema
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from apothecary.fhir.definitions import Definitions, definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Element, Property, Structure, property_name
from apothecary.validation.primitives import MAX_STRING, integer_range, value_pattern

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NOT_BLANK = r"[^ \t\n\r\f\v]"
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_TWIN = "primitive"


@lru_cache(maxsize=16)
def json_schema(version: FhirVersion, resource_type: str) -> Schema:
    """The schema of a resource type as a standard document; KeyError when the release has no such type.

    A contained resource, and one in a Bundle's entry, is only asked for its `resourceType`: apply the schema of
    that type to it.
    """
    tables = definitions(version)
    if not tables.is_resource_type(resource_type):
        raise KeyError(resource_type)
    return _Compiler(tables, "#/$defs/").document(resource_type)


def schema_definitions(version: FhirVersion, names: Iterable[str], place: str) -> dict[str, Schema]:
    """The schemas of structures and of all that they reach, by name, for a document that keeps them at `place`."""
    compiler = _Compiler(definitions(version), place)
    for name in names:
        compiler.ref(name)
    return compiler.collected()


class _Compiler:
    """Collects the definitions that some structures reach; `place` is what a reference to one begins with."""

    def __init__(self, tables: Definitions, place: str) -> None:
        self.tables = tables
        self.place = place
        self.found: dict[str, Schema] = {}
        self.waiting: list[str] = []
        self.codes: dict[str, list[str]] = {}

    def document(self, resource_type: str) -> Schema:
        root = self.ref(resource_type)
        return {
            "$schema": DIALECT,
            "title": f"FHIR {self.tables.version} {resource_type}",
            **root,
            "$defs": self.collected(),
        }

    def collected(self) -> dict[str, Schema]:
        """What was referred to, and what that refers to, sorted by name."""
        while self.waiting:
            name = self.waiting.pop()
            self.found[name] = self.define(name)
        return dict(sorted(self.found.items()))

    def ref(self, name: str) -> Schema:
        if name not in self.found:
            self.found[name] = {}
            self.waiting.append(name)
        return {"$ref": f"{self.place}{name}"}

    def define(self, name: str) -> Schema:
        if name == _TWIN:
            return self.twin()
        if name.startswith("codes."):
            return {"enum": self.codes[name]}
        structure = self.tables.structure(name)
        if name == "Resource":
            known = {"enum": list(self.tables.resource_types())}
            return {"type": "object", "required": ["resourceType"], "properties": {"resourceType": known}}
        return primitive(structure) if structure.kind == "primitive-type" else self.object(structure)

    def twin(self) -> Schema:
        """The companion of a primitive. That an id alone needs a value beside it is left to the walk."""
        extensions = {"type": "array", "minItems": 1, "items": self.ref("Extension")}
        return {
            "type": "object",
            "properties": {"id": self.ref("string"), "_id": self.ref(_TWIN), "extension": extensions},
            "additionalProperties": False,
            "minProperties": 1,
        }

    def object(self, structure: Structure) -> Schema:
        properties: Schema = {}
        rules: list[Schema] = []
        required: list[str] = []
        if structure.kind == "resource":
            properties["resourceType"] = {"const": structure.name}
            required.append("resourceType")
        for found in structure.properties.values():
            self.property(found, properties, rules)
        for element in structure.elements:
            self.presence(element, required, rules)
        schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if structure.kind != "resource":
            schema["minProperties"] = 1
            rules.append({"not": {"maxProperties": 1, "required": ["id"]}})
        if required:
            schema["required"] = required
        if rules:
            schema["allOf"] = rules
        return schema

    def property(self, found: Property, properties: Schema, rules: list[Schema]) -> None:
        element, name = found.element, found.name
        if element.max == 0:
            return
        is_primitive = self.tables.structure(found.structure).kind == "primitive-type"
        one = self.value(found) if is_primitive else self.ref(found.structure)
        if not is_primitive:
            properties[name] = _array(one) if element.is_list else one
            return
        twin = self.ref(_TWIN)
        if not element.is_list:
            properties[name], properties[f"_{name}"] = one, twin
            return
        properties[name] = _array({"anyOf": [one, {"type": "null"}]})
        properties[f"_{name}"] = _array({"anyOf": [twin, {"type": "null"}]})
        for key, other in ((name, f"_{name}"), (f"_{name}", name)):
            no_gap = {"properties": {key: {"items": {"not": {"type": "null"}}}}}
            rules.append({"if": {"not": {"required": [other]}}, "then": no_gap})

    def value(self, found: Property) -> Schema:
        """A primitive: its type, or the codes of a required binding."""
        binding = found.element.binding
        if binding is not None and binding.strength == "required":
            value_set = self.tables.value_set(binding.value_set)
            if value_set is not None and value_set.complete:
                name = "codes." + binding.value_set.rpartition("/")[2]
                self.codes[name] = sorted({code for concepts in value_set.concepts.values() for code in concepts})
                return self.ref(name)
        return self.ref(found.type)

    def presence(self, element: Element, required: list[str], rules: list[Schema]) -> None:
        """What says that an element must be there, and only once in a choice."""
        if element.is_choice:
            forms = [self.there(element, property_name(element, item.code)) for item in element.types]
            absent = [] if element.min else [{"not": {"anyOf": forms}}]
            rules.append({"oneOf": [*forms, *absent]})
        elif element.min:
            there = self.there(element, element.name)
            if "anyOf" in there:
                rules.append(there)
            else:
                required.append(element.name)

    def there(self, element: Element, name: str) -> Schema:
        code = next(item.code for item in element.types if property_name(element, item.code) == name)
        plain = {"required": [name]}
        known = self.tables.has_structure(code) and self.tables.structure(code).kind == "primitive-type"
        return {"anyOf": [plain, {"required": [f"_{name}"]}]} if known else plain


def primitive(structure: Structure) -> Schema:
    """The schema of a primitive type's JSON value."""
    name = structure.name
    if name == "boolean":
        return {"type": "boolean"}
    if name == "decimal":
        return {"type": "number"}
    if name in _INTEGERS:
        low, high = integer_range(structure)
        return {"type": "integer", "minimum": low, "maximum": high}
    schema: Schema = {"type": "string", "minLength": 1}
    if name == "xhtml":
        schema["pattern"] = _NOT_BLANK
    pattern = value_pattern(structure)
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern})$"
    if name != "base64Binary":
        schema["maxLength"] = MAX_STRING
    return schema


def _array(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}
