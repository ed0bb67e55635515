"""What a FHIRPath collection holds: elements with their types, and plain values
(https://hl7.org/fhirpath/#expressions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

from apothecary.fhir.budgets import Budget
from apothecary.fhir.definitions import Definitions
from apothecary.fhir.structures import Element, property_name


class FhirPathError(Exception):
    """An expression that cannot be compiled, or that asks of its input what FHIRPath does not define."""


class Node:
    """An element: its JSON value (None when a primitive has only extensions), FHIR type, structure and primitive
    twin.
    """

    __slots__ = ("structure", "twin", "type", "value")

    def __init__(self, value: Any, type_name: str, structure: str, twin: Any = None) -> None:
        self.value = value
        self.type = type_name
        self.structure = structure
        self.twin = twin


# A plain value (str, bool, int, Decimal) or an element. A collection is a list of items.
Item = Any
Items = list[Any]


# What an expression of the specification itself may cost; one from outside has a budget of its own.
UNLIMITED = Budget(1 << 62)


class Codes(Protocol):
    """The codes of a value set, wherever it comes from."""

    def contains(self, system: str | None, code: str) -> bool | None:
        """Whether a code is among them; None where that cannot be told."""


@dataclass(slots=True)
class Environment:
    """What an expression may refer to, and what its evaluation may cost.

    `resolve` gives the resource that a reference points to, or None. `value_set` gives a value set by its canonical
    url, `conforms` says whether an element conforms to a profile, `subsumes` whether the first of two codes of a system
    subsumes the second: None where that cannot be told, or nobody is there to ask.

    `unresolved` becomes true when something was asked that is not at hand, or that dates of unlike precision leave
    open: then nothing that the expression says about it is certain.
    """

    tables: Definitions
    resource: Node
    root: Node
    context: Item
    resolve: Callable[[str], Node | None]
    unresolved: bool = False
    budget: Budget = UNLIMITED
    value_set: Callable[[str], Codes | None] | None = None
    conforms: Callable[[Node, str], bool | None] | None = None
    subsumes: Callable[[str | None, str, str], bool | None] | None = None
    # What the expression itself defines: $index, $total, its variables, and the moment that now() is.
    index: int = 0
    total: Items = field(default_factory=list)
    variables: dict[str, Items] = field(default_factory=dict)
    moment: datetime | None = None
    # By closure: what it found that holds for the whole evaluation.
    kept: dict[Any, Any] = field(default_factory=dict)


# (the context that `$this` and names refer to, the environment) -> the collection
Compiled = Callable[[Items, Environment], Items]


def item_of(tables: Definitions, value: Any, structure: str) -> Node:
    """A resource or element as the focus of an expression."""
    if isinstance(value, dict):
        structure = tables.structure_of(value, structure)
    return Node(value, structure, structure)


# (JSON key, FHIR type, structure, whether primitive) of each property an element name may stand for.
_Step = tuple[str, str, str, bool]


@lru_cache(maxsize=16_384)
def _steps(tables: Definitions, structure: str, name: str) -> tuple[_Step, ...]:
    shape = tables.structure(structure)
    found: list[_Step] = []
    for element in shape.elements:
        if element.name == name or element.name == f"{name}[x]":
            found.extend(_element_steps(tables, element, shape.properties))
    if not found and name in shape.properties:
        # https://hl7.org/fhir/R5/fhirpath.html#polymorphism
        choice, type_name = shape.properties[name].element.name.removesuffix("[x]"), shape.properties[name].type
        raise FhirPathError(f"{name} is no name in FHIRPath: write {choice}.ofType({type_name})")
    return tuple(found)


def _element_steps(tables: Definitions, element: Element, properties: Any) -> Iterator[_Step]:
    for item in element.types:
        found = properties[property_name(element, item.code)]
        yield found.name, found.type, found.structure, tables.structure(found.structure).kind == "primitive-type"


def child(tables: Definitions, item: Item, name: str) -> Items:
    """The children of `item` called `name`. A primitive has its own value as `value`, beside id and extension."""
    if not isinstance(item, Node):
        # A quantity, or what type() says.
        return [getattr(item, name)] if name in getattr(item, "_fields", ()) else []
    value = item.value
    if not isinstance(value, dict):
        if name == "value" and value is not None:
            return [value]
        value = item.twin
        if not isinstance(value, dict):
            return []
    found: Items = []
    for step in _steps(tables, item.structure, name):
        _collect(tables, value, step, found)
    return found


def children(tables: Definitions, item: Item) -> Items:
    """All children of `item`, in the order of the document."""
    if not isinstance(item, Node):
        return []
    value = item.value if isinstance(item.value, dict) else item.twin
    if not isinstance(value, dict):
        return []
    found: Items = []
    properties = tables.structure(item.structure).properties
    for key in value:
        name = key[1:] if key[:1] == "_" else key
        prop = properties.get(name)
        if prop is not None and (name == key or name not in value):
            is_primitive = tables.structure(prop.structure).kind == "primitive-type"
            _collect(tables, value, (name, prop.type, prop.structure, is_primitive), found)
    return found


def _collect(tables: Definitions, value: dict[str, Any], step: _Step, found: Items) -> None:
    key, type_name, structure, is_primitive = step
    item = value.get(key)
    if not is_primitive:
        if isinstance(item, dict):
            found.append(_element(tables, item, type_name, structure))
        elif isinstance(item, list):
            found.extend(_element(tables, inner, type_name, structure) for inner in item if isinstance(inner, dict))
        return
    twin = value.get(f"_{key}")
    if isinstance(item, list) or isinstance(twin, list):
        values = item if isinstance(item, list) else []
        twins = twin if isinstance(twin, list) else []
        for index in range(max(len(values), len(twins))):
            one = values[index] if index < len(values) else None
            beside = twins[index] if index < len(twins) else None
            if one is not None or beside is not None:
                found.append(Node(one, type_name, structure, beside))
    elif item is not None or isinstance(twin, dict):
        found.append(Node(item, type_name, structure, twin))


def _element(tables: Definitions, value: dict[str, Any], type_name: str, structure: str) -> Node:
    return item_of(tables, value, type_name) if structure == "Resource" else Node(value, type_name, structure)


def is_type(tables: Definitions, item: Item, name: str) -> bool:
    """Whether `item` is of the type `name` or of one derived from it; `System.String` and `FHIR.Patient` are
    understood.
    """
    space, _, bare = name.rpartition(".")
    if not isinstance(item, Node):
        return space in ("", "System") and bare == system_type(item)
    if space == "System":
        return False
    current: str | None = item.type
    while current is not None:
        if current == bare:
            return True
        current = tables.structure(current).base if tables.has_structure(current) else None
    return False


def is_known_type(tables: Definitions, name: str) -> bool:
    """Whether there is a type of that name, of FHIRPath or of the release."""
    space, _, bare = name.rpartition(".")
    if space != "FHIR" and bare in SYSTEM_TYPES:
        return True
    return space == "System" or tables.has_structure(bare)


SYSTEM_TYPES = frozenset(
    {"Any", "Boolean", "String", "Integer", "Long", "Decimal", "Date", "DateTime", "Time", "Quantity"}
)


def system_type(value: Any) -> str:
    """The name of a plain value's type in FHIRPath's own model."""
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, str):
        return "String"
    if isinstance(value, int):
        return "Integer"
    if isinstance(value, Decimal | float):
        return "Decimal"
    return getattr(value, "kind", None) or type(value).__name__


def truth(items: Items) -> bool | None:
    """A collection as a condition: empty is None, one item that is no boolean is true."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("a condition has more than one value")
    item = items[0]
    value = item.value if isinstance(item, Node) else item
    return value if isinstance(value, bool) else True
