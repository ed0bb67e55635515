"""Resources in which elements are filled as the element tables have them, each primitive with a value of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from apothecary.fhir.definitions import Property, definitions
from apothecary.fhir.json import FhirDecimal
from apothecary.fhir.releases import FhirVersion

# What is about the record, or is no content of its own.
SKIPPED = frozenset({"id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"})
# How deep data types are filled in one another: a Reference has an Identifier, which has a Reference, and so on.
DEEPEST = 5

Chooser = Callable[[list[Property]], list[Property]]


def filled(resource_type: str, choose: Chooser) -> dict[str, Any]:
    """A resource with the properties that `choose` takes of those that each object may have.

    It is asked once for the forms of each element: the types of a choice, of which one may stand.
    """
    # As long as one another, so that none is a part of another.
    numbers = count(100_000)
    body = _object(resource_type, choose, numbers, ())
    return {"resourceType": resource_type, "id": "filled", **body}


def _object(structure: str, choose: Chooser, numbers: Iterator[int], above: tuple[str, ...]) -> dict[str, Any]:
    known = definitions(FhirVersion.R5)
    elements: dict[str, list[Property]] = {}
    for one in known.structure(structure).properties.values():
        if one.name not in SKIPPED:
            elements.setdefault(one.element.path, []).append(one)
    found: dict[str, Any] = {}
    for forms in elements.values():
        for one in choose(forms):
            nested = known.structure(one.structure).kind != "primitive-type"
            if nested and (one.structure in above or len(above) >= DEEPEST):
                continue
            values = [_value(one, choose, numbers, above) for _ in range(2 if one.element.max != 1 else 1)]
            if all(value not in ({}, None) for value in values):
                found[one.name] = values if one.element.max != 1 else values[0]
    return found


def _value(one: Property, choose: Chooser, numbers: Iterator[int], above: tuple[str, ...]) -> Any:
    if definitions(FhirVersion.R5).structure(one.structure).kind != "primitive-type":
        return _object(one.structure, choose, numbers, (*above, one.structure))
    number = next(numbers)
    match one.type:
        case "boolean":
            return True
        case "integer" | "positiveInt" | "unsignedInt":
            return number
        case "decimal":
            return FhirDecimal(f"{number}.50")
        case "date" | "dateTime":
            return f"{number}-01-31"
        case "instant":
            return f"{number}-01-31T00:00:00Z"
        case "time":
            return f"00:00:00.{number}"
        case "uri" | "url" | "canonical" | "oid" | "uuid":
            return f"https://example.invalid/{number}"
        case "xhtml":
            return None
        case _:
            return f"value <{number}> & more"


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every primitive below `node`, with where it stands."""
    if isinstance(node, dict):
        for key, one in node.items():
            yield from leaves(one, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for number, one in enumerate(node):
            yield from leaves(one, f"{path}[{number}]")
    else:
        yield path, node
