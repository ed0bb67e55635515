"""What a search lists at a time: the matches of one type in one order, and the place where a page of them begins.

https://hl7.org/fhir/R5/http.html#paging
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from apothecary.search.predicates import And, Not, Predicate
from apothecary.search.query import Cursor, Sort
from apothecary.store.fragments import Kinds
from apothecary.store.shape import shape
from apothecary.store.statements import Statement
from apothecary.store.traits import sourceable, together

Walk = Literal["values", "missing"]
"""Along the values of the first sort key, and then along the resources that have none."""
Rest = Literal["rest"]
"""What is left of the type without what some parts exclude, as a list: where little is left, no walk comes to it."""
Start = int | tuple[int, int] | Walk | Rest | None
"""What a search starts from: a part by its number, or what two parts have in common; None is a walk along the ids of
the type.
"""
Ties = Literal["after", "all", "none"]
"""Which hits come whose sort values equal the cursor's: those with later ids, or in a search over several types, where
the order of the types decides, all or none.
"""
Until = tuple[str | int, ...]
"""Where a walk ends: a value, an id, or both."""


@dataclass(slots=True)
class Listing:
    """The matches of one type. `values` are what is bound in its statements, `shape` decides their text."""

    resource_type: str
    predicate: Predicate | None
    values: Mapping[str, Any]
    sort: tuple[Sort, ...] = ()
    scored: bool = False
    """Whether each hit comes with its score."""
    shape: Any = field(init=False)
    parts: Sequence[Predicate] = field(init=False)
    """The predicates that must all hold."""
    candidates: Sequence[int] = field(init=False)
    """Which of the parts a search can start from."""
    statements: dict[Hashable, Statement] = field(init=False, default_factory=dict, compare=False, repr=False)
    """What was made for it already, by what else its text depends on (`apothecary.store.listed`)."""

    def __post_init__(self) -> None:
        found = self.predicate
        self.shape = shape(found)
        self.parts = together(found.of) if isinstance(found, And) else () if found is None else (found,)
        self.candidates = [number for number, part in enumerate(self.parts) if sourceable(part)]

    @property
    def kinds(self) -> Kinds:
        return (self.resource_type,)

    @property
    def excluding(self) -> list[int]:
        """Which of the parts exclude what an index can list."""
        return [number for number, part in enumerate(self.parts) if isinstance(part, Not) and sourceable(part.of)]

    @property
    def may_end_early(self) -> bool:
        """Whether a page may end anywhere on a walk: what comes in more orders than that of a walk must be sorted."""
        return not self.sort or (len(self.sort) == 1 and self.sort[0].column != "score")

    @property
    def ranks(self) -> bool:
        """Whether matches are sorted by their scores before all else."""
        return bool(self.sort) and self.sort[0].column == "score"

    @property
    def sorts_by_score(self) -> bool:
        return any(one.column == "score" for one in self.sort)


class Place(NamedTuple):
    """Where a page begins, behind a cursor or, without one, at the end; `backwards` reads towards the beginning. A walk
    ends with what `until` says, as `sorting.Order.line` has it; None is the end of what there is.
    """

    cursor: Cursor | None = None
    ties: Ties = "after"
    backwards: bool = False
    until: Until | None = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """What of it decides the text of a statement: which values the cursor lacks, not which it has."""
        missing = tuple(value is None for value in self.cursor.values) if self.cursor else None
        return missing, self.ties, self.backwards, self.until is None

    @property
    def values(self) -> dict[str, Any]:
        """What is bound for it in a statement."""
        bound: dict[str, Any] = {f"until{number}": value for number, value in enumerate(self.until or ())}
        if self.cursor is not None:
            bound |= {"after": self.cursor.id}
            bound |= {f"c{number}": value for number, value in enumerate(self.cursor.values)}
        return bound
