"""Which element of one release's structure is which of the other's: by the map, else by name (https://hl7.org/fhir/R5/diff.html)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apothecary.fhir.definitions import Definitions, Element, Property, Structure
from apothecary.fhir.releases import FhirVersion
from apothecary.versions.maps import BY_STRUCTURES
from apothecary.versions.rules import Codes, Derived, Map, Regrouped, Value

# Present on every element and converted apart from the others.
FRAME = frozenset({"id", "extension", "modifierExtension"})


@dataclass(frozen=True, slots=True)
class Part:
    """A backbone around elements that the other release has directly on the structure."""

    name: str
    is_list: bool
    structure: str


@dataclass(frozen=True, slots=True)
class Slot:
    """An element in its place: directly on the structure, or inside `part` of it."""

    element: Element
    properties: tuple[Property, ...]
    part: Part | None = None

    @property
    def base_name(self) -> str:
        """The name without `[x]`."""
        return self.element.name.removesuffix("[x]")

    @property
    def key(self) -> str:
        """The name a map uses: `doseForm`, `definitional.doseForm`."""
        return f"{self.part.name}.{self.base_name}" if self.part else self.base_name


@dataclass(frozen=True, slots=True)
class Link:
    """The properties of one source element and the target element they become; the rules are older to newer."""

    source: Slot
    target: Slot
    value: Value | None = None
    codes: Codes | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """All that two structures have to do with each other, seen from the source."""

    links: tuple[Link, ...]
    source: tuple[Slot, ...]
    target: tuple[Slot, ...]
    source_parts: tuple[Part, ...]
    derived: dict[str, Derived]
    regrouped: tuple[Regrouped, ...] = ()


def link(source: Definitions, target: Definitions, source_name: str, target_name: str) -> Links:
    """The links from the structure `source_name` of one release to `target_name` of another."""
    newer_is_target = target.version is FhirVersion.R5
    older, newer = (source, target) if newer_is_target else (target, source)
    older_name, newer_name = (source_name, target_name) if newer_is_target else (target_name, source_name)
    table = Map(older_name, newer_name)
    if newer.version is FhirVersion.R5:
        table = BY_STRUCTURES.get((older_name, newer_name), table)
    older_slots = tuple(_slots(older, older_name, table.older_parts))
    newer_slots = tuple(_slots(newer, newer_name, table.newer_parts))
    links = []
    for one, other in _pairs(older_slots, newer_slots, table):
        rules = table.values.get(one.key), table.codes.get(one.key)
        links.append(Link(one, other, *rules) if newer_is_target else Link(other, one, *rules))
    source_slots, target_slots = (older_slots, newer_slots) if newer_is_target else (newer_slots, older_slots)
    parts = {slot.part for slot in source_slots if slot.part}
    return Links(tuple(links), source_slots, target_slots, tuple(parts), dict(table.derived), table.regrouped)


def _slots(definitions: Definitions, name: str, parts: tuple[str, ...]) -> Iterator[Slot]:
    structure = definitions.structure(name)
    by_element = _by_element(structure)
    for element in structure.elements:
        yield Slot(element, by_element.get(element.path, ()))
    for part_name in parts:
        holder = structure.properties[part_name]
        part = Part(part_name, holder.element.is_list, holder.structure)
        inner = definitions.structure(holder.structure)
        by_element = _by_element(inner)
        for element in inner.elements:
            yield Slot(element, by_element.get(element.path, ()), part)


def _by_element(structure: Structure) -> dict[str, tuple[Property, ...]]:
    found: dict[str, tuple[Property, ...]] = {}
    for found_property in structure.properties.values():
        path = found_property.element.path
        found[path] = (*found.get(path, ()), found_property)
    return found


def _regrouped(slots: tuple[Slot, ...], names: Iterator[tuple[str, ...]]) -> set[str]:
    """The keys of the elements with these JSON properties."""
    known = {name for some in names for name in some}
    return {slot.key for slot in slots if not slot.part and any(one.name in known for one in slot.properties)}


def _pairs(older: tuple[Slot, ...], newer: tuple[Slot, ...], table: Map) -> Iterator[tuple[Slot, Slot]]:
    """The older and the newer slot of each link; a slot may come with only some of its properties."""
    newer_by_key = {slot.key: slot for slot in newer}
    by_last_name: dict[str, Slot] = {}
    for slot in newer:
        by_last_name.setdefault(slot.base_name, slot)
    claimed = set(table.renames.values()) | _regrouped(newer, (one.newer for one in table.regrouped))
    older_regrouped = _regrouped(older, (one.older for one in table.regrouped))
    for slot in older:
        if slot.key in older_regrouped:
            continue
        if slot.key in table.apart or slot.base_name in FRAME or (not slot.part and slot.key in table.older_parts):
            continue
        rest = slot
        if slot.key in table.renames:
            yield slot, newer_by_key[table.renames[slot.key]]
            continue
        for single in slot.properties:
            if slot.element.is_choice and single.name in table.renames:
                one = Slot(slot.element, (single,), slot.part)
                yield one, newer_by_key[table.renames[single.name]]
                rest = Slot(slot.element, tuple(p for p in rest.properties if p.name != single.name), slot.part)
        same = newer_by_key.get(slot.key) or by_last_name.get(slot.base_name)
        if (
            same is not None
            and same.key not in claimed
            and same.key not in table.apart
            and same.base_name not in table.newer_parts
            and rest.properties
        ):
            yield rest, same
