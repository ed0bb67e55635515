"""Where a search starts: counted, no further than need be, by the statements of `plan`.

What is right where few resources match is slow where many do, and the other way round: few are fetched and sorted, of
many only the page is read, along an index in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from apothecary.search.predicates import ranks
from apothecary.store import plan
from apothecary.store.listed import listed
from apothecary.store.listing import Listing, Place, Start
from apothecary.store.statements import Statement, Statements
from apothecary.store.traits import ordered, rank


class Reader(Protocol):
    """What runs the statements."""

    statements: Statements

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]: ...


class Choice(NamedTuple):
    """Where a search starts; `settled` says that it always does, whatever is in the database."""

    start: Start
    settled: bool


def choose(reader: Reader, listing: Listing) -> Choice:
    """The smallest part, if it is small. Else a walk: along the values of the first sort key; without one, along the
    rarest part in the order of ids, or the ids of the type.
    """
    sort, possible = listing.sort, listing.candidates
    walk: Start = "values" if sort and sort[0].table is not None else None
    if not possible:
        return Choice(walk, True)
    if not sort and len(possible) == 1 and ordered(listing.parts[possible[0]]):
        # A lookup by equality, and no other way in: it comes in the order of the page, however much it finds.
        return Choice(possible[0], True)
    return Choice(_counted(reader, listing, walk), False)


def _counted(reader: Reader, listing: Listing, walk: Start) -> Start:
    """What `choose` says where the numbers decide."""
    parts, sort = listing.parts, listing.sort
    possible = sorted(listing.candidates, key=lambda part: rank(parts[part]))
    few = plan.MANY if sort else plan.FEW
    smallest, fewest = possible[0], few + 1
    reached: dict[int, str] = {}
    for part in possible:
        # No part need be counted further than the smallest so far.
        counted, last = bounded_count(reader, listing, part, fewest)
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
        return smallest if scoring or _rare(reader, listing, smallest) else walk
    for part in filter(lambda part: ranks(parts[part]), possible):
        # To look words up for each resource on the way costs more than to list all that have them.
        if bounded_count(reader, listing, part, plan.MANY + 1)[0] <= plan.MANY:
            return part
    furthest = max(reached.items(), key=lambda one: one[1], default=None)
    return furthest[0] if furthest else None


def steps(start: Start, place: Place) -> list[tuple[Start, Place]]:
    """What is read one after the other until a page is full, each with the place where it begins."""
    if start != "values":
        return [(start, place)]
    order: list[Start] = ["missing", "values"] if place.backwards else ["values", "missing"]
    end = place._replace(cursor=None)
    if place.cursor is None:
        return [(one, end) for one in order]
    here: Start = "missing" if place.cursor.values[0] is None else "values"
    return [(here, place), *((one, end) for one in order[order.index(here) + 1 :])]


def bounded_count(reader: Reader, listing: Listing, part: int, limit: int) -> tuple[int, str | None]:
    """How many rows a part has, counted no further than `limit`, and the id that this reached where they are in the
    order of ids.
    """
    counting = partial(plan.bounded_count, reader.statements.dialect, part=part)
    statement = listed(reader.statements, ("bounded count", part), listing, counting)
    counted, reached = reader.rows(statement, statement.bind({**listing.values, "limit": limit}))[0]
    return int(counted), reached


def _rare(reader: Reader, listing: Listing, part: int) -> bool:
    """Whether few of the resources that meet one part meet the others too, by a look at the first of them."""
    if len(listing.parts) == 1:
        return False
    sampling = partial(plan.sample, reader.statements.dialect, part=part)
    statement = listed(reader.statements, ("sample", part), listing, sampling)
    bound = statement.bind({**listing.values, "limit": plan.FEW})
    return int(reader.rows(statement, bound)[0][0]) < plan.FEW // 20
