"""The extensions published with a release to `extensions.json` (https://hl7.org/fhir/R5/defining-extensions.html)."""

from __future__ import annotations

from apothecary.fhir.definitions import Context, ExtensionDefinition
from scripts.definitions.packages import Resource, Source
from scripts.definitions.structures import binding, type_ref


def extensions(source: Source) -> dict[str, ExtensionDefinition]:
    """All of them by canonical url."""
    return {
        url: _extension(url, definition)
        for url, definition in sorted(source.structures.items())
        if definition["type"] == "Extension" and definition.get("derivation") == "constraint"
    }


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
