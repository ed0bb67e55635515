"""What a search asks of the index, as data: no SQL here, and no query string.

A predicate says something about one resource. `Row` means: the index holds a row of this parameter for the resource
that meets a
condition. The store turns predicates into SQL; the shape of a predicate (everything but its values) decides the
statement's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "prefix", "suffix", "contains", "part", "begins", "in", "matches"]
Table = Literal["token", "string", "date", "quantity", "reference", "uri", "text"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words side by side, the last of them only begun where `prefix`. What matches counts as much as `weight` says, in
    millionths: less than the whole where the words only look like those that were asked for.
    """

    words: tuple[str, ...]
    prefix: bool = False
    weight: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Compare:
    """`column operator value`.

    `prefix`, `suffix` and `contains` compare texts as they are; `part` is `contains`, asked of texts that stand in the
    index by their parts (`SpellingRow`), and stands alone in its row; `begins` ignores the case of ASCII letters, and
    its value is in lower case. `in` takes a tuple of any length without changing the statement's shape. `matches` takes
    a `Phrase`, stands alone in its row, and goes with the table `text`.
    """

    column: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """All conditions of one index row hold."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one condition of one index row holds."""

    of: tuple[Condition, ...]


Condition = Compare | Every | Some


@dataclass(frozen=True, slots=True)
class Row:
    """The index `table` has a row of `parameter` for the resource that meets `where` (None: any row)."""

    table: Table
    parameter: str
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The index has rows of each part that stand on the same element: a composite parameter."""

    parts: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """A condition on the resource's own columns: `id` or `updated`."""

    where: Condition


@dataclass(frozen=True, slots=True)
class And:
    of: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    of: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Predicate


@dataclass(frozen=True, slots=True)
class Chain:
    """A reference of `parameter` points to a resource of `target_type` for which `of` holds; `by_url`: a canonical URL
    names it, with its version or without any.
    """

    parameter: str
    target_type: str
    of: Predicate
    by_url: bool = False


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of `source_type` points here by `parameter`, or names this one `by_url`, and `of` holds for it."""

    source_type: str
    parameter: str
    of: Predicate
    by_url: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """Holds for no resource."""


Predicate = Row | Joined | Resource | And | Or | Not | Chain | Has | Nothing


def any_of(predicates: list[Predicate]) -> Predicate:
    """The union; a single one stays itself."""
    return predicates[0] if len(predicates) == 1 else Or(tuple(predicates))


def all_of(predicates: list[Predicate]) -> Predicate:
    """The intersection; a single one stays itself."""
    return predicates[0] if len(predicates) == 1 else And(tuple(predicates))


def ranks(predicate: Predicate | None) -> bool:
    """Whether matches differ in how well they match: where words are looked for in texts of the resource itself."""
    match predicate:
        case And(of) | Or(of):
            return any(map(ranks, of))
        case Row(where=Compare(operator="matches")):
            return True
    return False


def clauses(predicate: Predicate) -> Iterator[Predicate]:
    """Every leaf, to count how much a search asks."""
    match predicate:
        case And(of) | Or(of):
            for one in of:
                yield from clauses(one)
        case Not(inner) | Chain(of=inner) | Has(of=inner):
            yield from clauses(inner)
        case _:
            yield predicate
