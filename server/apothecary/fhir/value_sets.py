"""The codes of value sets: https://hl7.org/fhir/R5/valueset.html#compositions and #expansion"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from apothecary.errors import NotEnumerable, UnknownTerminology
from apothecary.fhir.code_systems import select
from apothecary.fhir.terminology import CodeSystem, ValueSet

Concepts = dict[str, dict[str, str]]

# How deep value sets may include one another.
_DEPTH = 50


class Source(Protocol):
    """Where value sets and code systems are found, by canonical URL with or without `|version`."""

    def code_system(self, canonical: str) -> CodeSystem | None: ...

    def value_set(self, canonical: str) -> Mapping[str, Any] | ValueSet | None:
        """A ValueSet resource, or one of the specification's, whose codes are listed."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The codes of a value set with displays, by system. `partial` names the systems of which only a fragment is held:
    codes of theirs that belong to the set may be missing.
    """

    concepts: Mapping[str, Mapping[str, str]]
    partial: frozenset[str] = frozenset()

    @property
    def total(self) -> int:
        return sum(map(len, self.concepts.values()))


def expand(canonical: str, source: Source) -> Expansion:
    """All codes of a value set. Raises UnknownTerminology for what is not held, NotEnumerable for what cannot be
    listed.
    """
    expander = _Expander(source)
    return expander.whole(expander.named(canonical, ()))


def expand_resource(resource: Mapping[str, Any], source: Source) -> Expansion:
    """All codes of a ValueSet resource. Raises as `expand` does."""
    expander = _Expander(source)
    return expander.whole(expander.resource(resource, ()))


@dataclass(frozen=True, slots=True)
class _Expander:
    source: Source
    partial: set[str] = field(default_factory=set)
    known: dict[str, Concepts] = field(default_factory=dict)

    def whole(self, concepts: Concepts) -> Expansion:
        return Expansion({system: codes for system, codes in concepts.items() if codes}, frozenset(self.partial))

    def named(self, canonical: str, above: tuple[str, ...]) -> Concepts:
        """`above` are the value sets that include this one; one that includes itself adds nothing to itself."""
        concepts = self.known.get(canonical)
        if concepts is None:
            concepts = self.known[canonical] = self._named(canonical, above)
        return concepts

    def _named(self, canonical: str, above: tuple[str, ...]) -> Concepts:
        if len(above) > _DEPTH:
            raise NotEnumerable(f"{above[0]} includes value sets more than {_DEPTH} deep")
        found = self.source.value_set(canonical)
        if found is None:
            raise UnknownTerminology(
                f"the value set {canonical} is not held here" + (f" ({above[-1]} includes it)" if above else ""),
                remedy="Load the ValueSet, or name one that [base]/ValueSet lists.",
            )
        if isinstance(found, ValueSet):
            if not found.complete:
                raise NotEnumerable(f"the codes of {canonical} cannot be listed: {found.reason}")
            return {system: dict(concepts) for system, concepts in found.concepts.items()}
        return self.resource(found, above)

    def resource(self, resource: Mapping[str, Any], above: tuple[str, ...]) -> Concepts:
        name = str(resource.get("url") or f"ValueSet/{resource.get('id')}")
        if name in above:
            return {}
        compose, stored = resource.get("compose"), resource.get("expansion")
        if compose is None:
            if stored is None:
                raise NotEnumerable(f"the value set {name} neither composes its codes nor lists them")
            return _stored(name, stored)
        try:
            return self._compose(compose, (*above, name))
        except (NotEnumerable, UnknownTerminology):
            if stored is None:
                raise
            # Somebody who could expand it did, and left the result.
            return _stored(name, stored)

    def _compose(self, compose: Mapping[str, Any], above: tuple[str, ...]) -> Concepts:
        found: Concepts = {}
        for part in compose.get("include", ()):
            for system, codes in self._part(part, above, inactive=compose.get("inactive", True)).items():
                found.setdefault(system, {}).update(codes)
        for part in compose.get("exclude", ()):
            for system, codes in self._part(part, above, inactive=True).items():
                for code in codes:
                    found.get(system, {}).pop(code, None)
        return found

    def _part(self, part: Mapping[str, Any], above: tuple[str, ...], *, inactive: bool) -> Concepts:
        """An include or exclude: the codes of its system, and in every one of its value sets."""
        found: Concepts | None = None
        if "system" in part:
            found = {part["system"]: self._of_system(part, inactive)}
        for canonical in part.get("valueSet", ()):
            other = self.named(canonical, above)
            found = other if found is None else _both(found, other)
        return found or {}

    def _of_system(self, part: Mapping[str, Any], inactive: bool) -> dict[str, str]:
        url, version = part["system"], part.get("version")
        system = self.source.code_system(f"{url}|{version}" if version else url)
        if "concept" in part:
            displays: Mapping[str, str] = system.concepts if system is not None else {}
            listed = {one["code"]: one.get("display") or displays.get(one["code"], "") for one in part["concept"]}
        else:
            held = self._listable(url, system)
            listed = select(held, part.get("filter", ()))
        if inactive or system is None:
            return listed
        return {code: display for code, display in listed.items() if not system.is_inactive(code)}

    def _listable(self, url: str, system: CodeSystem | None) -> CodeSystem:
        if system is None or not system.concepts or system.content in ("not-present", "example"):
            raise NotEnumerable(
                f"the codes of {url} are not held here",
                remedy=f"Load the CodeSystem; or search for {url}| to find every code of that system.",
            )
        if system.content != "complete":
            self.partial.add(url)
        return system


def _both(some: Concepts, others: Concepts) -> Concepts:
    return {
        system: {code: display for code, display in codes.items() if code in others.get(system, {})}
        for system, codes in some.items()
    }


def _stored(name: str, expansion: Mapping[str, Any]) -> Concepts:
    """The codes of an expansion that came with the value set. Raises NotEnumerable for one that is only a page or a
    part.
    """
    found: Concepts = {}
    count = 0
    for one in _contained(expansion):
        count += 1
        if "code" in one and not one.get("abstract", False):
            found.setdefault(one.get("system", ""), {})[one["code"]] = one.get("display", "")
    if expansion.get("offset", 0) or expansion.get("total", 0) > count:
        raise NotEnumerable(f"the expansion stored with {name} is only a part of it")
    return found


def _contained(parent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in parent.get("contains", ()):
        yield one
        yield from _contained(one)
