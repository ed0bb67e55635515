"""ConceptMap resources as tables: https://hl7.org/fhir/R5/conceptmap.html and https://hl7.org/fhir/R4/conceptmap.html

They are read in the form they were written in, for each release says things that the other has no element for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from apothecary.fhir.references import split_canonical
from apothecary.terminology.model import objects
from apothecary.terminology.relationships import EQUIVALENCES, RELATIONSHIPS

# R4 says of a concept that it has no counterpart with a target of this equivalence; R5 with `noMap`.
_UNMATCHED = "unmatched"
_MODES = {"provided": "use-source-code"}


class Datum(msgspec.Struct, frozen=True, gc=False):
    """A value that a mapping depends on, or that it produces besides; `attribute` is a uri, `type` what follows
    `value` in its element.
    """

    attribute: str
    type: str
    value: Any


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a code is mapped to: a code, or all codes of a value set. `equivalence` is R4's word, which says more."""

    code: str | None
    display: str | None
    relationship: str
    equivalence: str
    value_set: str | None = None
    comment: str | None = None
    depends_on: tuple[Datum, ...] = ()
    products: tuple[Datum, ...] = ()
    properties: tuple[Datum, ...] = ()


class Element(msgspec.Struct, frozen=True, gc=False):
    """What is said of one source code, or of all codes of a value set. `none` says that it has no counterpart."""

    code: str | None
    display: str | None
    value_set: str | None
    targets: tuple[Target, ...]
    none: str | None = None
    """The comment on it, which may be empty; None where it is mapped."""


class Unmapped(msgspec.Struct, frozen=True, gc=False):
    """What stands for codes that are not mapped: `use-source-code`, `fixed` or `other-map`."""

    mode: str
    target: Target
    other_map: str | None


@dataclass(frozen=True)
class Group:
    """The mappings from one code system to another."""

    source: str | None
    source_version: str | None
    target: str | None
    target_version: str | None
    elements: tuple[Element, ...]
    unmapped: Unmapped | None

    @cached_property
    def by_code(self) -> Mapping[str, tuple[Element, ...]]:
        """The elements of each code."""
        return _grouped((one.code, one) for one in self.elements)

    @cached_property
    def by_value_set(self) -> tuple[Element, ...]:
        """The elements that speak of the codes of a value set."""
        return tuple(one for one in self.elements if one.code is None and one.value_set is not None)

    @cached_property
    def by_target(self) -> Mapping[str, tuple[tuple[Element, Target], ...]]:
        """What is mapped to each code."""
        return _grouped((one.code, (element, one)) for element in self.elements for one in element.targets)

    @cached_property
    def to_value_sets(self) -> tuple[tuple[Element, Target], ...]:
        """What is mapped to the codes of a value set."""
        pairs = ((element, one) for element in self.elements for one in element.targets)
        return tuple(pair for pair in pairs if pair[1].code is None and pair[1].value_set is not None)


@dataclass(frozen=True)
class ConceptMap:
    """A ConceptMap of any release."""

    url: str
    version: str | None
    status: str
    source_scope: str | None
    target_scope: str | None
    groups: tuple[Group, ...] = field(default=())

    @property
    def canonical(self) -> str:
        """`url|version`, or the url where there is no version; empty where there is none."""
        return f"{self.url}|{self.version}" if self.url and self.version else self.url


def concept_map(resource: Mapping[str, Any]) -> ConceptMap:
    """A ConceptMap resource as it was written, whichever release it is of. What breaks the form is passed over."""
    attributes = _uris(resource, "additionalAttribute")
    properties = _uris(resource, "property")
    return ConceptMap(
        _text(resource, "url") or "",
        _text(resource, "version"),
        _text(resource, "status") or "",
        _first(resource, "sourceScopeCanonical", "sourceScopeUri", "sourceCanonical", "sourceUri"),
        _first(resource, "targetScopeCanonical", "targetScopeUri", "targetCanonical", "targetUri"),
        tuple(_group(one, attributes, properties) for one in objects(resource.get("group"))),
    )


def _group(group: Mapping[str, Any], attributes: Mapping[str, str], properties: Mapping[str, str]) -> Group:
    source, source_version = _system(group, "source")
    target, target_version = _system(group, "target")
    found = group.get("unmapped")
    return Group(
        source,
        source_version,
        target,
        target_version,
        tuple(_element(one, attributes, properties) for one in objects(group.get("element"))),
        _unmapped(found) if isinstance(found, dict) else None,
    )


def _system(group: Mapping[str, Any], side: str) -> tuple[str | None, str | None]:
    """R5 writes the version into the canonical, R4 beside it."""
    url, version = split_canonical(_text(group, side) or "")
    return url or None, version or _text(group, f"{side}Version")


def _element(element: Mapping[str, Any], attributes: Mapping[str, str], properties: Mapping[str, str]) -> Element:
    targets = []
    none = "" if element.get("noMap") is True else None
    for one in objects(element.get("target")):
        if one.get("equivalence") == _UNMATCHED:
            none = _text(one, "comment") or ""
        else:
            targets.append(_target(one, attributes, properties))
    return Element(
        _text(element, "code"),
        _text(element, "display"),
        _text(element, "valueSet"),
        tuple(targets),
        none,
    )


def _target(target: Mapping[str, Any], attributes: Mapping[str, str], properties: Mapping[str, str]) -> Target:
    relationship, equivalence = _standing(target)
    return Target(
        _text(target, "code"),
        _text(target, "display"),
        relationship,
        equivalence,
        _text(target, "valueSet"),
        _text(target, "comment"),
        tuple(_data(target.get("dependsOn"), "attribute", attributes)),
        tuple(_data(target.get("product"), "attribute", attributes)),
        tuple(_data(target.get("property"), "code", properties)),
    )


def _standing(owner: Mapping[str, Any]) -> tuple[str, str]:
    """The relationship and the equivalence of a target; `related-to` where nothing is said."""
    equivalence, relationship = _text(owner, "equivalence"), _text(owner, "relationship")
    if equivalence is not None:
        return RELATIONSHIPS.get(equivalence, "related-to"), equivalence
    relationship = relationship or "related-to"
    return relationship, EQUIVALENCES.get(relationship, "relatedto")


def _unmapped(element: Mapping[str, Any]) -> Unmapped:
    mode = _text(element, "mode") or ""
    relationship, equivalence = _standing(element)
    if "relationship" not in element and mode == "provided":
        # R4 has no element for it: the code is taken over as it is.
        relationship, equivalence = "equivalent", "equivalent"
    target = Target(
        _text(element, "code"), _text(element, "display"), relationship, equivalence, _text(element, "valueSet")
    )
    return Unmapped(_MODES.get(mode, mode), target, _first(element, "otherMap", "url"))


def _data(elements: Any, name: str, uris: Mapping[str, str]) -> Iterator[Datum]:
    for one in objects(elements):
        if isinstance(one.get("property"), str):
            # R4: a uri, a text, and the code system that the text is a code of.
            parts = {"system": _text(one, "system"), "code": _text(one, "value"), "display": _text(one, "display")}
            coded = parts["system"] is not None
            value = {key: part for key, part in parts.items() if part is not None} if coded else one.get("value")
            yield Datum(one["property"], "Coding" if coded else "String", value)
            continue
        code = _text(one, name)
        for key, value in one.items():
            if key.startswith("value") and key != "valueSet" and code is not None:
                yield Datum(uris.get(code, code), key.removeprefix("value"), value)


def _uris(resource: Mapping[str, Any], name: str) -> dict[str, str]:
    return {
        one["code"]: one["uri"]
        for one in objects(resource.get(name))
        if isinstance(one.get("code"), str) and isinstance(one.get("uri"), str)
    }


def _grouped(pairs: Any) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = {}
    for code, one in pairs:
        if code is not None:
            found.setdefault(code, []).append(one)
    return {code: tuple(listed) for code, listed in found.items()}


def _text(owner: Mapping[str, Any], name: str) -> str | None:
    found = owner.get(name)
    return found if isinstance(found, str) and found else None


def _first(owner: Mapping[str, Any], *names: str) -> str | None:
    return next((found for name in names if (found := _text(owner, name)) is not None), None)
