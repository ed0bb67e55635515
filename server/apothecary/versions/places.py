"""Where an element stands in a resource being written, and what stands for a value that is not known.

https://hl7.org/fhir/extensions/StructureDefinition-data-absent-reason.html
"""

from __future__ import annotations

from typing import Any

from apothecary.fhir.definitions import Definitions, Property
from apothecary.fhir.json import JSON
from apothecary.versions.links import Slot

_DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def absent(tables: Definitions, one: Property) -> tuple[Any, JSON | None]:
    """The value and the companion of a required element that nothing is known of.

    An object whose elements include required ones says it of each of those.
    """
    says: JSON = {"extension": [{"url": _DATA_ABSENT, "valueCode": "unknown"}]}
    if one.type in tables.primitive_types():
        return None, says
    structure = tables.structure(one.structure)
    inner: JSON = {}
    for element in structure.elements:
        if element.min:
            first = next(child for child in structure.properties.values() if child.element.path == element.path)
            value, companion = absent(tables, first)
            name, found = (first.name, value) if companion is None else ("_" + first.name, companion)
            inner[name] = [found] if element.is_list else found
    return inner or says, None


def part_of(out: JSON, slot: Slot) -> JSON:
    """Where in `out` the element of `slot` stands: `out` itself, or the part of it, made when it is not there."""
    part = slot.part
    if part is None:
        return out
    if part.is_list:
        first: JSON = out.setdefault(part.name, [{}])[0]
        return first
    made: JSON = out.setdefault(part.name, {})
    return made


def part_so_far(out: JSON, slot: Slot) -> JSON:
    """As `part_of`, but nothing is made: an empty object when the part is not there."""
    part = slot.part
    if part is None:
        return out
    found = out.get(part.name, {})
    first: JSON = found[0] if part.is_list and found else found or {}
    return first


def is_written(holder: JSON, properties: tuple[Property, ...]) -> bool:
    """Whether an element has a value, in any of its types."""
    return any(one.name in holder or "_" + one.name in holder for one in properties)


def with_extension(holder: JSON, extension: JSON) -> JSON:
    """`holder` with one more extension, in the order of the specification: id, extension, all else."""
    first = {"id": holder["id"]} if "id" in holder else {}
    rest = {key: value for key, value in holder.items() if key not in ("id", "extension")}
    return {**first, "extension": [*holder.get("extension", ()), extension], **rest}
