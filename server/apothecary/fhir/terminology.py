"""Value sets and code systems as far as the specification enumerates them (https://hl7.org/fhir/R5/terminologies.html)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec


class ValueSet(msgspec.Struct, frozen=True, dict=True):
    """A value set: the codes it holds and whether that is all of them.

    `concepts` maps each system to its codes and their displays. `complete` is False when the specification cannot
    enumerate the set (media types, languages, units): then `concepts` is empty, `reason` says why, and `systems` where
    its codes come from.
    """

    url: str
    concepts: Mapping[str, Mapping[str, str]]
    systems: tuple[str, ...]
    complete: bool = True
    reason: str | None = None

    @cached_property
    def codes(self) -> Mapping[str, frozenset[str]]:
        """The codes by system."""
        return {system: frozenset(concepts) for system, concepts in self.concepts.items()}

    def contains(self, system: str | None, code: str) -> bool | None:
        """Whether the set has `code`, None when that cannot be told; without a system (a `code` element), in any."""
        if system is None:
            found = any(code in concepts for concepts in self.concepts.values())
        else:
            found = code in self.concepts.get(system, ())
        if found:
            return True
        if self.complete or (system is not None and self.systems and system not in self.systems):
            return False
        return None

    def display(self, system: str | None, code: str) -> str | None:
        """The display the specification gives `code`, or None."""
        for name, concepts in self.concepts.items():
            if (system is None or name == system) and code in concepts:
                return concepts[code] or None
        return None

    def system_of(self, code: str) -> str | None:
        """The system that a bare `code` element implies: the only one that has it, else the only one of the set."""
        holding = [system for system, concepts in self.concepts.items() if code in concepts]
        if len(holding) == 1:
            return holding[0]
        return self.systems[0] if not holding and len(self.systems) == 1 else None


class CodeSystem(msgspec.Struct, frozen=True, dict=True, omit_defaults=True, rename="camel"):
    """A code system: its codes and their displays, and what it says of them
    (https://hl7.org/fhir/R5/codesystem.html#hierarchy).

    `parents` has each code that stands below others, with them. `properties` holds the values of each property by code,
    as text. `content` is `complete`, or why not all codes are there: fragment, example, not-present or supplement.
    """

    url: str
    concepts: Mapping[str, str] = {}
    parents: Mapping[str, tuple[str, ...]] = {}
    case_sensitive: bool | None = None
    content: str = "complete"
    properties: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
    version: str | None = None

    def find(self, code: str) -> str | None:
        """`code` as this system writes it, None where it has no such code."""
        if code in self.concepts or self.case_sensitive is not False:
            return code if code in self.concepts else None
        return self._folded.get(code.casefold())

    @cached_property
    def _folded(self) -> Mapping[str, str]:
        return {code.casefold(): code for code in self.concepts}

    def is_inactive(self, code: str) -> bool:
        """Whether the system has taken `code` out of use: https://hl7.org/fhir/R5/codesystem.html#status"""
        inactive = self.properties.get("inactive", {}).get(code, ())
        status = self.properties.get("status", {}).get(code, ())
        return "true" in inactive or not {"inactive", "retired"}.isdisjoint(status)

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Each code that has children, with them."""
        found: dict[str, list[str]] = {}
        for code, parents in self.parents.items():
            for parent in parents:
                found.setdefault(parent, []).append(code)
        return {parent: tuple(codes) for parent, codes in found.items()}

    def ancestors(self, code: str) -> frozenset[str]:
        """All that subsume `code`, itself not included."""
        return _reach(self.parents, code)

    def descendants(self, code: str) -> frozenset[str]:
        """All that `code` subsumes, itself not included."""
        return _reach(self.children, code)


def _reach(edges: Mapping[str, tuple[str, ...]], start: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        code = waiting.pop()
        if code not in found:
            found.add(code)
            waiting.extend(edges.get(code, ()))
    return frozenset(found)
