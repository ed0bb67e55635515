"""The extensions published with a release to `extensions.json` (https://hl7.org/fhir/R5/defining-extensions.html)."""

from __future__ import annotations

import msgspec

from apothecary.fhir.definitions import Context, ExtensionDefinition
from apothecary.fhir.structures import TypeRef
from scripts.definitions.ledger import Repairs
from scripts.definitions.packages import Resource, Source
from scripts.definitions.structures import binding, type_ref

HL7 = "http://hl7.org/fhir/StructureDefinition/"


def extensions(source: Source, repairs: Repairs) -> dict[str, ExtensionDefinition]:
    """All of them by canonical url."""
    return {
        url: _repaired(_extension(url, definition), repairs)
        for url, definition in sorted(source.structures.items())
        if definition["type"] == "Extension" and definition.get("derivation") == "constraint"
    }


def _repaired(found: ExtensionDefinition, repairs: Repairs) -> ExtensionDefinition:
    where = f"extension {found.url.removeprefix(HL7)} value"
    if not repairs.has(where):
        return found
    types = repairs.repaired(where, " or ".join(item.code for item in found.types)) or ""
    return msgspec.structs.replace(found, types=tuple(TypeRef(code) for code in types.split(" or ")))


def _extension(url: str, definition: Resource) -> ExtensionDefinition:
    elements = {element["id"]: element for element in definition["snapshot"]["element"]}
    contexts = tuple(dict.fromkeys(Context(item["type"], item["expression"]) for item in definition.get("context", [])))
    return _part(url, "Extension", elements, contexts)


def _part(url: str, at: str, elements: dict[str, Resource], contexts: tuple[Context, ...] = ()) -> ExtensionDefinition:
    """The extension or slice of one whose element id is `at`."""
    root = elements[at]
    value = elements.get(f"{at}.value[x]", {"max": "0"})
    parts = []
    for name in elements:
        prefix, _, slice_name = name.rpartition(":")
        if prefix == f"{at}.extension" and slice_name and "." not in slice_name:
            own_url = elements[f"{name}.url"].get("fixedUri", slice_name)
            parts.append(_part(own_url, name, elements))
    has_value = value["max"] != "0"
    return ExtensionDefinition(
        url=url,
        contexts=contexts,
        types=tuple(type_ref(item) for item in value["type"]) if has_value else (),
        min=root["min"],
        max=None if root["max"] == "*" else int(root["max"]),
        value_min=value["min"] if has_value else 0,
        is_modifier=root.get("isModifier", False),
        binding=binding(value),
        extensions=tuple(parts),
    )
