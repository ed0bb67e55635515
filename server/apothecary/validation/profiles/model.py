"""What a profile asks of each element, ready to check (https://hl7.org/fhir/R5/elementdefinition.html).

All of it is plain data, so that it can be handed to other processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Binding, Invariant

# How many bytes the rules of one element take, a constraint besides its texts, a name, and a character of a value.
_RULES, _CONSTRAINT, _NAME, _VALUE = 900, 300, 150, 8


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed or pattern value; wrapped, because the value itself may be anything."""

    value: Any


@dataclass(frozen=True, slots=True)
class AllowedType:
    """A type that an element may have. `profiles` are those that its value conforms to one of, `targets` the same for
    what a reference points to. `aggregation` says where that may stand (contained, bundled, referenced), `versioning`
    whether a reference names a version (specific) or none (independent).
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    aggregation: tuple[str, ...] = ()
    versioning: str | None = None


@dataclass(frozen=True, slots=True)
class Discriminator:
    """What tells slices apart: https://hl7.org/fhir/R5/profiling.html#discriminator"""

    type: str
    path: str


@dataclass(frozen=True, slots=True)
class Bound:
    """One value set that a profile binds an element to, as far as instances are checked for it.

    `purpose` is that of an additional binding, None for the binding itself. `usage` are the contexts it is for, each a
    code and what it may be, as `system|code`. With `any` it is enough that one item of the element has such a code.
    https://hl7.org/fhir/R5/elementdefinition.html#ElementDefinition.binding.additional
    """

    binding: Binding
    purpose: str | None = None
    usage: tuple[tuple[str, frozenset[str]], ...] = ()
    any: bool = False


@dataclass(frozen=True, slots=True)
class Slicing:
    """How the items of an element are divided into slices."""

    discriminators: tuple[Discriminator, ...]
    rules: str = "open"
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class ElementRules:
    """What is asked of an element beyond what its type asks already.

    `name` is the name in the definitions, or the JSON name of one form of a choice. `min` and `max` are those of the
    profile; `counted` is false where the type itself sees to them. Empty `types` allow all that the type allows.
    `needs_value` demands a value of a primitive, and `alternatives` are the extensions that may stand in its place.
    """

    name: str
    id: str
    min: int = 0
    max: int | None = None
    counted: bool = False
    types: tuple[AllowedType, ...] = ()
    restricts_types: bool = False
    restricts_targets: bool = False
    fixed: Fixed | None = None
    pattern: Fixed | None = None
    least: Fixed | None = None
    most: Fixed | None = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    needs_value: bool = False
    alternatives: tuple[str, ...] = ()
    bound: tuple[Bound, ...] = ()
    constraints: tuple[Invariant, ...] = ()
    slicing: Slicing | None = None
    slice_name: str | None = None
    slices: tuple[ElementRules, ...] = ()
    children: tuple[ElementRules, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile for one release: its canonical url with the version it has, its name for messages, the type it is for,
    and what it asks. `contexts` are the uses it was written for, as in `Bound`; `imposes` the profiles that whatever
    conforms to it must conform to as well. `modifier` is true for an extension that belongs into modifierExtension.
    """

    canonical: str
    name: str
    type: str
    version: FhirVersion
    root: ElementRules
    contexts: tuple[tuple[str, frozenset[str]], ...] = ()
    imposes: tuple[str, ...] = ()
    modifier: bool = False

    @property
    def url(self) -> str:
        """The canonical url without the version."""
        return self.canonical.partition("|")[0]


def weight(rules: ElementRules) -> int:
    """What the rules take in memory, about, in bytes."""
    held = _RULES + _CONSTRAINT * len(rules.constraints)
    held += sum(len(one.expression) + len(one.human) for one in rules.constraints)
    held += _NAME * sum(1 + len(one.profiles) + len(one.targets) for one in rules.types)
    held += sum(_VALUE * len(str(one.value)) for one in (rules.fixed, rules.pattern) if one is not None)
    return held + sum(map(weight, rules.slices)) + sum(map(weight, rules.children))
