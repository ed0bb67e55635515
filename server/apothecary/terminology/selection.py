"""What is wanted of the concepts of a code system, as data: a code system that lives elsewhere can look it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apothecary.terminology.model import Concept


@dataclass(frozen=True, slots=True)
class Holds:
    """One of some properties has one of the values, or any where there is None; with `negated` none has."""

    properties: frozenset[str]
    values: frozenset[str] | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ChildOf:
    """The concept stands directly below one of the codes; below any where there is None."""

    codes: frozenset[str] | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Below:
    """The concept stands below `code`, however deep, or is it, where `itself`."""

    code: str
    itself: bool
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Among:
    """The concept's code is one of these."""

    codes: frozenset[str]
    negated: bool = False


Condition = Holds | ChildOf | Below | Among


@dataclass(frozen=True, slots=True)
class Selection:
    """Concepts with all of `words` (`apothecary.terminology.words.asked`) in code and display, or also in designations,
    that meet all conditions; `active` and `selectable` leave out inactive and abstract ones.
    """

    words: tuple[str, ...] = ()
    designations: bool = False
    conditions: tuple[Condition, ...] = ()
    active: bool = False
    selectable: bool = False


ALL = Selection()


class Page(NamedTuple):
    """Some of the selected concepts in order, and how many there are in all; None where nobody counted that far: then
    there are as many as were asked for.
    """

    concepts: Sequence[Concept]
    total: int | None
