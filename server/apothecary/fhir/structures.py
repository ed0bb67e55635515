"""The shape of one JSON object, its elements, types and rules: https://hl7.org/fhir/R5/structuredefinition.html."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

Kind = Literal["resource", "complex-type", "primitive-type", "backbone"]
BACKBONES = frozenset({"BackboneElement", "Element"})


class TypeRef(msgspec.Struct, frozen=True, array_like=True):
    """One type an element may have. `targets` are resource types a reference may point to; `("Resource",)` is any."""

    code: str
    targets: tuple[str, ...] = ()


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """The value set an element's codes come from, without a version, and how binding it is."""

    strength: Literal["required", "extensible", "preferred", "example"]
    value_set: str


class Invariant(msgspec.Struct, frozen=True):
    """A rule in FHIRPath that holds on each instance of the element or structure it stands on."""

    key: str
    severity: Literal["error", "warning"]
    human: str
    expression: str


class Element(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One element as the specification lists it; `path` and `name` keep the `[x]` of a choice.

    `max_value_set` holds every code of the element, however weak its binding (before R5 the extension `maxValueSet`,
    since then https://hl7.org/fhir/R5/valueset-additional-binding-purpose.html).
    `invariants` leaves out what already stands on the element's own type (`ele-1`, `ext-1`, ...); those of a backbone,
    `ele-1` included, stand on its `Structure`. So every rule is found exactly once.
    """

    path: str
    types: tuple[TypeRef, ...]
    min: int = 0
    max: int | None = 1
    is_summary: bool = False
    is_modifier: bool = False
    binding: Binding | None = None
    invariants: tuple[Invariant, ...] = ()
    content_reference: str | None = None
    max_value_set: str | None = None

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """What codes are checked against: the binding, and the most that they may be of as a binding of its own."""
        found = () if self.binding is None else (self.binding,)
        if self.max_value_set is None or (self.binding is not None and self.binding.strength == "required"):
            return found
        return (*found, Binding("required", self.max_value_set))

    @property
    def name(self) -> str:
        """The last part of the path: `value[x]`."""
        return self.path.rpartition(".")[2]

    @property
    def is_choice(self) -> bool:
        """Whether the JSON property name ends in the type: `valueQuantity`."""
        return self.path.endswith("[x]")

    @property
    def is_list(self) -> bool:
        """Whether the JSON value is an array (https://hl7.org/fhir/R5/json.html#repeat)."""
        return self.max is None or self.max > 1


class Property(msgspec.Struct, frozen=True):
    """One JSON property: `type` is its FHIR type, `structure` the name under which the shape of its value is found."""

    name: str
    element: Element
    type: str
    structure: str


class Structure(msgspec.Struct, frozen=True):
    """The shape of a resource, data type or backbone. A primitive's is that of its `_name` twin: id and extension."""

    name: str
    kind: Kind
    base: str | None
    abstract: bool
    elements: tuple[Element, ...]
    properties: Mapping[str, Property]
    invariants: tuple[Invariant, ...]
    regex: str | None = None
    max_length: int | None = None
    min_value: int | None = None
    max_value: int | None = None


class TypeTable(msgspec.Struct, frozen=True, rename="camel"):
    """One file of `data/<release>/types`: a type with all its elements, backbones included, in specification order."""

    name: str
    kind: Kind
    abstract: bool
    base: str | None = None
    elements: tuple[Element, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    regex: str | None = None
    max_length: int | None = None
    min_value: int | None = None
    max_value: int | None = None

    def structures(self) -> dict[str, Structure]:
        """The type and each of its backbones, by name."""
        children: dict[str, list[Element]] = {self.name: []}
        for element in self.elements:
            children.setdefault(element.path.rpartition(".")[0], []).append(_without_backbone_rules(element))
        found = {}
        for element in self.elements:
            if element.path in children:
                found[element.path] = Structure(
                    name=element.path,
                    kind="backbone",
                    base=element.types[0].code,
                    abstract=False,
                    elements=tuple(children[element.path]),
                    properties=_properties(children[element.path]),
                    invariants=element.invariants,
                )
        found[self.name] = Structure(
            name=self.name,
            kind=self.kind,
            base=self.base,
            abstract=self.abstract,
            elements=tuple(children[self.name]),
            properties=_properties(children[self.name]),
            invariants=self.invariants,
            regex=self.regex,
            max_length=self.max_length,
            min_value=self.min_value,
            max_value=self.max_value,
        )
        return found


def property_name(element: Element, type_code: str) -> str:
    """The JSON name of `element` for a value of type `type_code`: `value[x]` and `Quantity` give `valueQuantity`."""
    if not element.is_choice:
        return element.name
    return element.name[:-3] + type_code[0].upper() + type_code[1:]


def _without_backbone_rules(element: Element) -> Element:
    if element.invariants and element.types[0].code in BACKBONES and element.content_reference is None:
        return msgspec.structs.replace(element, invariants=())
    return element


def _properties(elements: list[Element]) -> Mapping[str, Property]:
    found = {}
    for element in elements:
        for type_ref in element.types:
            name = property_name(element, type_ref.code)
            structure = type_ref.code
            if structure in BACKBONES:
                structure = element.content_reference or element.path
            found[name] = Property(name, element, type_ref.code, structure)
    return MappingProxyType(found)
