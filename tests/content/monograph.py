"""The shipped content as the tests see it: every file of `resources/`, and walks over their elements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "resources"
OWN = "https://example.org/fhir/"
SOURCE_CLAIM = OWN + "StructureDefinition/source-claim"
ASSERTION_BASIS = OWN + "StructureDefinition/assertion-basis"

Resource = dict[str, Any]

FILES: dict[str, Path] = {f"{path.parent.name}/{path.stem}": path for path in sorted(RESOURCES.glob("*/*.json"))}
CONTENT: dict[str, Resource] = {key: json.loads(path.read_text(encoding="utf-8")) for key, path in FILES.items()}


def of_type(*types: str) -> dict[str, Resource]:
    """The resources of the given types by reference."""
    return {key: resource for key, resource in CONTENT.items() if resource["resourceType"] in types}


def elements(node: Any, path: str = "") -> Iterator[tuple[str, Resource]]:
    """Every JSON object below `node` with its path, `node` first."""
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from elements(child, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from elements(child, f"{path}[{index}]")


def codings(node: Any) -> Iterator[tuple[str, Resource]]:
    """Every Coding below `node` with its path; a Quantity has a system and a code, too, but is none."""
    for path, element in elements(node):
        if "system" in element and "code" in element and "value" not in element and "unit" not in element:
            yield path, element


def extension_values(element: Resource, url: str) -> list[Any]:
    """The values of the extensions of `element` with this url."""
    found = [each for each in element.get("extension", []) if each["url"] == url]
    return [value for each in found for key, value in each.items() if key.startswith("value")]


def claims(node: Any) -> set[str]:
    """Every claim id below `node`."""
    return {claim for _, element in elements(node) for claim in extension_values(element, SOURCE_CLAIM)}
