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


class Name(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One more name of a code, in a language; `use` is the code that says what for, where one does."""

    value: str
    language: str = ""
    use: str | None = None


class CodeSystem(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A code system: its codes and their displays, and what it says of them
    (https://hl7.org/fhir/R5/codesystem.html#hierarchy).

    `parents` has each code that stands below others, with them. `properties` holds the values of each property by code,
    as text. `content` is `complete`, or why not all codes are there: fragment, example, not-present or supplement.
    `names` are the designations by code, `value_set` the canonical of the value set of all codes.
    """

    url: str
    concepts: Mapping[str, str] = {}
    parents: Mapping[str, tuple[str, ...]] = {}
    case_sensitive: bool | None = None
    content: str = "complete"
    properties: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
    version: str | None = None
    active: bool = True
    names: Mapping[str, tuple[Name, ...]] = {}
    value_set: str | None = None
