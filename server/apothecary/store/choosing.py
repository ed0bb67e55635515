"""Where a search starts: counted, no further than need be, by the statements of `plan`.

What is right where few resources match is slow where many do, and the other way round: few are fetched and sorted, of
many only the page is read, along an index in its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from apothecary.search.predicates import Predicate, ranks
from apothecary.search.query import Cursor, Sort
from apothecary.store import plan
from apothecary.store.shape import shape
from apothecary.store.sorting import Start
from apothecary.store.statements import Statement, Statements
from apothecary.store.traits import ordered, rank


class Reader(Protocol):
    """What runs the statements."""

    statements: Statements

    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]: ...
    def values(self, predicate: Predicate | None) -> Mapping[str, Any]: ...


class Choice(NamedTuple):
    """Where a search starts; `settled` says that it always does, whatever is in the database."""

    start: Start
    settled: bool


def choose(reader: Reader, resource_type: str, predicate: Predicate | None, sort: Sequence[Sort]) -> Choice:
    """The smallest part, if it is small. Else a walk: along the values of the first sort key; without one, along the
    rarest part in the order of ids, or the ids of the type.
    """
    walk: Start = "values" if sort and sort[0].table is not None else None
    possible = plan.candidates(predicate)
    if predicate is None or not possible:
        return Choice(walk, True)
    parts = plan.parts(predicate)
    if not sort and len(possible) == 1 and ordered(parts[possible[0]]):
        # A lookup by equality, and no other way in: it comes in the order of the page, however much it finds.
        return Choice(possible[0], True)
    return Choice(_counted(reader, resource_type, predicate, sort, possible, walk), False)


def _counted(
    reader: Reader,
    resource_type: str,
    predicate: Predicate,
    sort: Sequence[Sort],
    candidates: Sequence[int],
    walk: Start,
) -> Start:
    """What `choose` says where the numbers decide."""
    parts = plan.parts(predicate)
    possible = sorted(candidates, key=lambda part: rank(parts[part]))
    few = plan.MANY if sort else plan.FEW
    smallest, fewest = possible[0], few + 1
    reached: dict[int, str] = {}
    for part in possible:
        # No part need be counted further than the smallest so far.
        counted, last = bounded_count(reader, resource_type, predicate, part, fewest)
        if counted < fewest:
            smallest, fewest = part, counted
        if last is not None:
            reached[part] = last
        if fewest <= plan.VERY_FEW:
            break
    if fewest <= few:
        return smallest
    if sort:
        scoring = sort[0].column == "score"
        return smallest if scoring or _rare(reader, resource_type, predicate, smallest) else walk
    for part in filter(lambda part: ranks(parts[part]), possible):
        # To look words up for each resource on the way costs more than to list all that have them.
        if bounded_count(reader, resource_type, predicate, part, plan.MANY + 1)[0] <= plan.MANY:
            return part
    furthest = max(reached.items(), key=lambda one: one[1], default=None)
    return furthest[0] if furthest else None


def steps(start: Start, cursor: Cursor | None, backwards: bool) -> list[tuple[Start, Cursor | None]]:
    """What is read one after the other until a page is full, each with the place where it begins."""
    if start != "values":
        return [(start, cursor)]
    order: list[Start] = ["missing", "values"] if backwards else ["values", "missing"]
    if cursor is None:
        return [(one, None) for one in order]
    here: Start = "missing" if cursor.values[0] is None else "values"
    return [(here, cursor), *((one, None) for one in order[order.index(here) + 1 :])]


def bounded_count(
    reader: Reader, resource_type: str, predicate: Predicate, part: int, limit: int
) -> tuple[int, str | None]:
    """How many rows a part has, counted no further than `limit`, and the id that this reached where they are in the
    order of ids.
    """
    statement = reader.statements.get(
        ("bounded count", resource_type, shape(predicate), part),
        partial(plan.bounded_count, reader.statements.dialect, resource_type, predicate, part),
    )
    counted, reached = reader.rows(statement, statement.bind({**reader.values(predicate), "limit": limit}))[0]
    return int(counted), reached


def _rare(reader: Reader, resource_type: str, predicate: Predicate, part: int) -> bool:
    """Whether few of the resources that meet one part meet the others too, by a look at the first of them."""
    if len(plan.parts(predicate)) == 1:
        return False
    statement = reader.statements.get(
        ("sample", resource_type, shape(predicate), part),
        partial(plan.sample, reader.statements.dialect, resource_type, predicate, part),
    )
    bound = statement.bind({**reader.values(predicate), "limit": plan.FEW})
    return int(reader.rows(statement, bound)[0][0]) < plan.FEW // 20
