"""What every search parameter type has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from apothecary.fhir import temporal
from apothecary.fhir.releases import FhirVersion
from apothecary.search.advanced import Similar
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.predicates import Predicate
from apothecary.search.rows import IndexRow
from apothecary.search.terminology import Terminology


class Value(NamedTuple):
    """One value that a parameter's expression selected: its FHIR type and its JSON.

    `value_set` is the required binding of a `code` in the release `version`; `element` numbers the element inside a
    composite parameter; `systems` says how codes stand in the index.
    """

    type: str
    json: Any
    value_set: str | None = None
    element: int = 0
    systems: Systems = STANDARD
    version: FhirVersion = FhirVersion.R5


def _refuse(reason: str) -> None:
    raise ValueError(reason)


@dataclass(frozen=True, slots=True)
class Request:
    """What the meaning of a value depends on besides itself: this server's base URLs, the time, the parameter's
    targets, and the value sets and code systems it holds.
    """

    bases: tuple[str, ...] = ()
    now: Callable[[], int] = temporal.now
    targets: tuple[str, ...] = ()
    served: frozenset[str] = frozenset()
    elements: frozenset[str] = frozenset()
    """The FHIR types that the parameter's expression can select."""
    systems: Systems = STANDARD
    terminology: Terminology | None = None
    fruitless: Callable[[str], None] = _refuse
    """What to do about a value that nothing can have, told why: it may raise, or note that."""
    similar: Similar | None = None
    """Finds words of the parameter's texts that look like one; None where the parameter has no inexact search."""
    basics: tuple[str, ...] = ()
    """The types that the release of the search shows as Basic."""


class SearchType(Protocol):
    """The contract of a module in `apothecary.search.types`."""

    NAME: str
    TABLES: tuple[str, ...]
    """The index tables that hold this type's rows; the first has at least one row whenever the element has a value."""
    MODIFIERS: frozenset[str]
    PREFIXES: frozenset[str]
    ELEMENTS: frozenset[str]
    """The FHIR types that this parameter type can read: https://hl7.org/fhir/R5/search.html#xpath"""

    def extract(self, parameter: str, value: Value) -> Iterable[IndexRow]: ...

    def predicate(self, parameter: str, modifier: str | None, text: str, request: Request) -> Predicate: ...


COMPARATORS = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def split_prefix(text: str, what: str) -> tuple[str, str]:
    """A comparator and the rest: `ge2026` is (`ge`, `2026`); without one, `eq`. Raises ValueError for letters that are
    no comparator.
    """
    if len(text) > 2 and text[:2].isalpha() and text[:2].isascii():
        if text[:2] not in COMPARATORS:
            raise ValueError(
                f"{text!r}: {text[:2]!r} is no prefix for a {what}; the prefixes are {' '.join(COMPARATORS)}"
            )
        return text[:2], text[2:]
    return "eq", text
