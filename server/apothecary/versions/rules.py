"""The words in which a map says what the definitions cannot: renames, moves, codes, and one value written in two ways.

https://hl7.org/fhir/R5/versions.html. In every rule "older" is R4 and R4B, which name these elements alike, and
"newer" is R5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apothecary.fhir.json import JSON


@dataclass(frozen=True, slots=True)
class Value:
    """One value that the two releases write in two ways. Each function gives None for a value it cannot say.

    A value that does not come back as it went is an approximation: it then carries the original.
    """

    newer: Callable[[Any], Any | None]
    older: Callable[[Any], Any | None]
    says: str


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of a required binding that only one release has, each with its nearest neighbour in the other."""

    newer: Mapping[str, str] = field(default_factory=dict)
    older: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Derived:
    """A required element of the newer structure that follows from the older form of the whole."""

    value: Callable[[JSON], Any]
    says: str


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Elements of one structure that the two releases divide among their elements in two ways.

    `older` and `newer` are their JSON properties. Each function is given those that a resource has, and gives what the
    other release has of them; data types inside are left as they are. What it leaves out is not lost: elements that do
    not come back as they went have their originals beside them.
    """

    older: tuple[str, ...]
    newer: tuple[str, ...]
    to_newer: Callable[[JSON], JSON]
    to_older: Callable[[JSON], JSON]
    says: str


@dataclass(frozen=True, slots=True)
class Map:
    """How one structure of R4 and R4B stands to one of R5, where equal names do not tell.

    Names are relative to the structure and without `[x]`; a name with a dot is inside a part. `renames` is older to
    newer; it may name one type of a choice by its JSON property (`asNeededCodeableConcept`). `older_parts` and
    `newer_parts` are backbones that one release has around elements which the other has directly on the structure.
    `apart` names elements that are not what the other release calls so. What `regrouped` names has no other rule.
    """

    older: str
    newer: str
    renames: Mapping[str, str] = field(default_factory=dict)
    older_parts: tuple[str, ...] = ()
    newer_parts: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)
    codes: Mapping[str, Codes] = field(default_factory=dict)
    derived: Mapping[str, Derived] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    regrouped: tuple[Regrouped, ...] = ()
