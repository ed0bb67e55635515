"""Elements of an instance with their places, and how they compare with fixed and pattern values
(https://hl7.org/fhir/R5/elementdefinition.html#ElementDefinition.fixed_x_).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from apothecary.fhir.definitions import Definitions
from apothecary.fhir.structures import Property
from apothecary.validation.fhirpath import Node, item_of
from apothecary.validation.run import At


class Occurrence(NamedTuple):
    """One value of an element, and where it stands: its parent's place, its JSON key, its index in an array."""

    node: Node
    at: tuple[At, str, int | None]

    @property
    def value(self) -> Any:
        """The JSON value; None for a primitive that has only extensions."""
        return self.node.value


def occurrences(tables: Definitions, parent: Node, name: str, at: At) -> list[Occurrence]:
    """The values of the element `name` in `parent`: `value[x]` in any of its forms, `valueQuantity` in that one.

    What has the wrong JSON type is left out: the walk over the base definitions has reported it.
    """
    if not tables.has_structure(parent.structure):
        return []
    structure = tables.structure(parent.structure)
    if structure.kind == "primitive-type" and at is not None:
        if name == "value":
            return [] if parent.value is None else [Occurrence(parent, at)]
        if not at[1].startswith("_"):
            at = (at[0], f"_{at[1]}", at[2])
    owner = parent.value if isinstance(parent.value, dict) else parent.twin
    if not isinstance(owner, dict):
        return []
    properties = structure.properties
    found: list[Occurrence] = []
    exact = properties.get(name)
    for prop in (exact,) if exact is not None else properties.values():
        if prop is exact or prop.element.name == name:
            _collect(tables, owner, prop, at, found)
    return found


def _collect(tables: Definitions, owner: dict[str, Any], prop: Property, at: At, found: list[Occurrence]) -> None:
    key = prop.name
    value, twin = owner.get(key), owner.get(f"_{key}")
    if value is None and twin is None:
        return
    if tables.structure(prop.structure).kind == "primitive-type":
        if prop.element.is_list:
            values = value if isinstance(value, list) else []
            twins = twin if isinstance(twin, list) else []
            for index in range(max(len(values), len(twins))):
                one = values[index] if index < len(values) else None
                beside = twins[index] if index < len(twins) else None
                if one is not None or beside is not None:
                    place = (at, key if index < len(values) else f"_{key}", index)
                    found.append(Occurrence(Node(one, prop.type, prop.structure, beside), place))
        elif not isinstance(value, list | dict):
            found.append(Occurrence(Node(value, prop.type, prop.structure, twin), _single(at, key, value)))
    elif prop.element.is_list:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, dict):
                found.append(Occurrence(_node(tables, item, prop), (at, key, index)))
    elif isinstance(value, dict):
        found.append(Occurrence(_node(tables, value, prop), (at, key, None)))


def _single(at: At, key: str, value: Any) -> tuple[At, str, int | None]:
    return at, key if value is not None else f"_{key}", None


def _node(tables: Definitions, value: dict[str, Any], prop: Property) -> Node:
    if tables.structure(prop.structure).kind == "resource":
        return item_of(tables, value, prop.structure)
    return Node(value, prop.type, prop.structure)


def equals(value: Any, fixed: Any) -> bool:
    """Whether a value is the fixed one: the same elements with the same values, arrays in the same order."""
    if isinstance(fixed, dict):
        return (
            isinstance(value, dict)
            and value.keys() == fixed.keys()
            and all(equals(value[key], fixed[key]) for key in fixed)
        )
    if isinstance(fixed, list):
        return isinstance(value, list) and len(value) == len(fixed) and all(map(equals, value, fixed))
    return _same(value, fixed)


def fits(value: Any, pattern: Any) -> bool:
    """Whether a value has at least what the pattern has; each item of a pattern's array is met by some item."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], pattern[key]) for key in pattern)
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(fits(item, wanted) for item in value) for wanted in pattern)
    return _same(value, pattern)


def _same(value: Any, other: Any) -> bool:
    # In Python True equals 1.
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)
