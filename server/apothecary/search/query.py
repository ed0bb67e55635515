"""A search, understood: what to look for, in which order, which page, and what to put into the answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from apothecary.errors import Issue
from apothecary.search.predicates import Predicate

Total = Literal["unasked", "none", "estimate", "accurate"]
"""Which number of all matches is asked for: https://hl7.org/fhir/R5/search.html#total"""


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of `_sort`: table and column to order by; table None means a column of the resource, or its score.

    `parameter` is a name in the index, and `otherwise` names it for the types where it is another.
    """

    parameter: str
    table: str | None
    column: str
    descending: bool
    otherwise: tuple[tuple[str, str], ...] = ()

    def of(self, resource_type: str) -> Sort:
        """The key for resources of one type."""
        if not self.otherwise:
            return self
        return Sort(dict(self.otherwise).get(resource_type, self.parameter), self.table, self.column, self.descending)


BEST_FIRST = Sort("_score", None, "score", True)


def ids_descend(sort: Sequence[Sort]) -> bool:
    """Whether of resources with equal values the one with the greater id comes first: where the first key descends.
    Values then run with ids as they lie in an index, and nothing is sorted. No index has scores.

    In which order equals come is left to the server: https://hl7.org/fhir/R5/search.html#_sort
    """
    return bool(sort) and sort[0].descending and sort[0].column != "score"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a page: the sort values, type and id of the resource beside it; `backwards` asks for the page before
    it. Without an id, and backwards, it is the end of the list. `seen` counts the matches on the pages before.
    `newest` is the time of the newest match when the first page was read, of a search for the newest first.
    """

    values: tuple[str | int | None, ...]
    resource_type: str
    id: str
    backwards: bool = False
    seen: int = 0
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`: the type that has the reference, its parameter (None for `*`), the target type,
    `:iterate`; and the parameters (None for all) whose values may be canonical URLs, which are followed too.
    """

    source_type: str
    parameter: str | None
    target_type: str | None
    reverse: bool
    iterate: bool
    by_url: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What the store is asked for: for each type (in order) the predicate its resources must meet, None for all."""

    predicates: Mapping[str, Predicate | None]
    sort: tuple[Sort, ...] = ()
    count: int = 20
    cursor: Cursor | None = None
    scored: bool = False
    """Whether hits come with their scores; the predicates rank then."""
    looks: int | None = None
    """After so many resources that were looked at one by one a page may end, though it is not full; None where whoever
    asks takes it for the whole.
    """
    memo: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    """Where the store may keep what it worked out for this very query."""


@dataclass(frozen=True, slots=True)
class Search:
    """A whole search request. `applied` are the parameters that really ran, in order, as the self link shows them."""

    query: Query
    applied: tuple[tuple[str, str], ...]
    total: Total = "unasked"
    summary: str = "false"
    elements: tuple[str, ...] = ()
    page_size: int = 20
    """Matches on a full page; the query asks for fewer where `max_results` leaves fewer."""
    max_results: int | None = None
    explain: bool = False
    includes: tuple[Include, ...] = ()
    warnings: tuple[Issue, ...] = ()
    count_only: bool = False
    inexact: bool = False
    """Whether words were looked for that only resemble those of the request: which, the content decides."""
