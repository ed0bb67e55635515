"""Searches on either database: what is run for a page, a total, an explanation. `choosing` says where it starts, `plan`
has the statements.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from apothecary.search.contained import unmarked
from apothecary.search.predicates import Predicate
from apothecary.search.query import MANY, Cursor, Query
from apothecary.store import choosing, counting, fulltext, plan, reads, spelling, straight
from apothecary.store.contract import TOLD, Hit, Page
from apothecary.store.limited import held, limited
from apothecary.store.listed import listed
from apothecary.store.listing import Listing, Place, Start
from apothecary.store.order import order_of, ties_with
from apothecary.store.reader import Counted, bounded_count
from apothecary.store.rewriting import rewritten
from apothecary.store.shape import values
from apothecary.store.statements import Statement, Statements

# Where a hit has its bytes.
_HEAVY = (Hit._fields.index("body"),)
# Under this name a query remembers the statement of its first page, with the type and the values.
_FIRST = "first page"


class SqlSearcher(ABC):
    """Searching, by the store itself or inside a transaction."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements

    @abstractmethod
    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        """Run a reading statement and fetch all rows, or with `most` those that `limited` keeps."""

    def sequence(self, items: Iterable[str]) -> str:
        """A list of texts as one bound value."""
        return json.dumps(list(items), ensure_ascii=False)

    def listing(self, query: Query, resource_type: str, predicate: Predicate | None) -> Listing:
        """What a query lists of one type."""
        predicate = None if predicate is None else rewritten(predicate)
        phrase = partial(fulltext.phrase, self.statements.dialect)
        part = partial(spelling.query, self.statements.dialect)
        sort = tuple(one.of(unmarked(resource_type)) for one in query.sort)
        return Listing(resource_type, predicate, values(predicate, self.sequence, phrase, part), sort, query.scored)

    def search(self, query: Query, most: int | None = None) -> Page:
        known = query.memo.get(_FIRST)
        if known is not None and query.cursor is None:
            kind, statement, bound = known
            found = self._hits(query, kind, self.rows(statement, bound, most))
            return Page(found[: query.count], more_after=len(found) > query.count, more_before=False)
        backwards = query.cursor is not None and query.cursor.backwards
        # A cursor without an id is the end of the list: nothing lies beyond it.
        cursor = query.cursor if query.cursor is not None and query.cursor.id else None
        # One more than the page holds tells whether there is another page.
        wanted = query.count + 1
        found = []
        stopped: Cursor | None = None
        matches: int | None = None
        parts = self._parts(query)
        there = [(one, ties_with(cursor, one[0], bool(query.sort))) for one in parts]
        left = [(*one, ties) for one, ties in there if ties is not None]
        dear = plan.costs(self.statements.dialect).look
        # Of several types in one order a page has what comes first of all of them.
        may_end_early = bool(left) and not (query.sort and len(parts) > 1)
        looks = None if query.looks is None or not may_end_early else query.looks // len(left) // dear
        for resource_type, predicate, ties in reversed(left) if backwards else left:
            place = Place(cursor, ties, backwards)
            limit = wanted if query.sort else wanted - len(found)
            hits, ends, matches = self._page(query, resource_type, predicate, place, limit, most, looks)
            found += hits
            if ends is not None:
                stopped = ends
                break
            if len(parts) == 1:
                break
            if query.sort and len(query.predicates) > 1:
                found.sort(key=order_of(query), reverse=backwards)
            if most is not None:
                found = limited(found, most, _HEAVY)
            if not query.sort and (len(found) >= wanted or _full(found, most)):
                break
        more = len(found) > query.count or stopped is not None
        found = found[: query.count]
        matches = matches if len(parts) == 1 else None
        if backwards:
            return Page(found[::-1], cursor is not None, more, stopped, matches)
        return Page(found, more, query.cursor is not None, stopped, matches)

    def _parts(self, query: Query) -> list[tuple[str, Predicate | None]]:
        """The types of a query with what is asked of each. Of many types those that hold nothing are left out: to make
        the statement for a type takes a hundred times as long as to run it.
        """
        parts = list(query.predicates.items())
        if len(parts) < 2:
            return parts
        statement = self.statements.get(("kinds",), reads.kinds)
        held = {row[0] for row in self.rows(statement, statement.bind({}))}
        return [(kind, predicate) for kind, predicate in parts if kind in held]

    def _page(
        self,
        query: Query,
        resource_type: str,
        predicate: Predicate | None,
        place: Place,
        limit: int,
        most: int | None,
        looks: int | None,
    ) -> tuple[list[Hit], Cursor | None, int | None]:
        """The hits of one type, where the page ends early, if it does, and how many hits all pages have, where that was
        found out.
        """
        listing = self._remembered(query, resource_type, predicate)
        ends: Cursor | None = None
        known: dict[int, Counted] = {}
        first = self._likeliest(listing, limit, looks)
        if first is not None:
            statement, bound = self._straight(listing, first, place, limit)
            rows = self.rows(statement, bound, most)
            *_, counted, reached, matches = rows[0]
            if counted <= first.enough:
                return self._hits(query, resource_type, [row[:-3] for row in rows if row[0] is not None]), None, matches
            known = {first.part: (int(counted), reached)}
        found: list[Hit] = []
        for way in choosing.ways(self, listing, place, limit, looks, known):
            if way.trial and predicate is not None:
                # Each part that could be counted has more than a total that nobody asked for.
                query.memo[MANY] = True
            ends = way.ends
            found = found if way.goes_on else []
            for begin, where in way.steps:
                statement, bound = self._statement(listing, begin, where, limit - len(found))
                # A first page in one step that needs no counting runs the same statement with the same values every
                # time.
                if way.settled and query.cursor is None and len(way.steps) == 1 and len(query.predicates) == 1:
                    query.memo[_FIRST] = resource_type, statement, bound
                found += self._hits(query, resource_type, self.rows(statement, bound, most))
                if len(found) >= limit or _full(found, most):
                    return found, None, None
        return found, ends, None

    def _hits(self, query: Query, resource_type: str, rows: Sequence[Any]) -> list[Hit]:
        """The rows of a page."""
        if query.scored:
            count = len(query.sort)
            place = next((number for number, one in enumerate(query.sort) if one.column == "score"), count)
            return [
                Hit(resource_type, one, version, updated, fhir_version, body, tuple(keys[:count]), keys[place], known)
                for one, version, updated, fhir_version, body, known, *keys in rows
            ]
        # The columns of a resource, the definitions in force, and the values that it is sorted by.
        hit = Hit._make  # a fifth faster than to name them, and there may be a thousand
        return [hit((resource_type, row[0], row[1], row[2], row[3], row[4], row[6:], None, row[5])) for row in rows]

    def _likeliest(self, listing: Listing, limit: int, looks: int | None) -> choosing.Try | None:
        """What to try first, where a question has a way to go: SQLite's costs less than a statement that is longer."""
        return None if self.statements.dialect.name == "sqlite" else choosing.likeliest(listing, limit, looks)

    def _straight(
        self, listing: Listing, first: choosing.Try, place: Place, limit: int
    ) -> tuple[Statement, tuple[Any, ...]]:
        """The statement that tries it, and its values."""
        build = partial(straight.page, self.statements.dialect, part=first.part, place=place)
        statement = listed(self.statements, ("straight", first.part, listing.sort, place.shape), listing, build)
        given = {"limit": limit, "counted": first.counted, "enough": first.enough, "told": max(limit, TOLD + 1)}
        return statement, statement.bind({**listing.values, **place.values, **given})

    def _statement(self, listing: Listing, start: Start, place: Place, limit: int) -> tuple[Statement, tuple[Any, ...]]:
        """The statement for (a part of) one page, and its values."""
        statement = listed(
            self.statements,
            ("page", start, listing.sort, place.shape, listing.scored),
            listing,
            lambda one: plan.page(self.statements.dialect, one, start, place),
        )
        return statement, statement.bind({**listing.values, **place.values, "limit": limit})

    def explain(self, query: Query) -> list[str]:
        lines = []
        for resource_type, predicate in query.predicates.items():
            listing = self.listing(query, resource_type, predicate)
            for number in listing.candidates:
                counted, _ = bounded_count(self, listing, number, plan.FEW + 1)
                lines.append(f"part {number} matches {counted}{' or more' if counted > plan.FEW else ''} rows")
            first = self._likeliest(listing, query.count + 1, query.looks)
            if first is not None:
                statement, bound = self._straight(listing, first, Place(), query.count + 1)
                lines += self._explained(resource_type, statement, bound)
                if self.rows(statement, bound)[0][-3] <= first.enough:
                    continue
            for way in choosing.ways(self, listing, Place(), query.count + 1, query.looks):
                found = 0
                for begin, place in way.steps:
                    statement, bound = self._statement(listing, begin, place, query.count + 1)
                    lines += self._explained(resource_type, statement, bound)
                    found += len(self.rows(statement, bound)) if way.trial else 0
                if found > query.count:
                    break
        return lines

    def _explained(self, resource_type: str, statement: Statement, bound: Sequence[Any]) -> list[str]:
        """A statement and how the database goes about it. PostgreSQL tells how many rows each step really read; SQLite
        has the way only.
        """
        sqlite = self.statements.dialect.name == "sqlite"
        verb = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN (ANALYZE, TIMING OFF)"
        told = self.rows(Statement(f"{verb} {statement.text}", (), {}), bound)
        text = f"{resource_type}: {' '.join(statement.text.split())}"
        return [text, *(f"  {row[-1] if sqlite else row[0]}" for row in told)]

    def count_few(self, query: Query, limit: int) -> int | None:
        result = 0
        for listing in self._counted(query):
            found = counting.few(self, listing, limit + 1 - result)
            if found is None:
                return None
            result += found
            if result > limit:
                return None
        return result

    def estimate(self, query: Query) -> tuple[int, bool]:
        found = [counting.estimate(self, listing) for listing in self._counted(query)]
        return sum(number for number, _ in found), all(exact for _, exact in found)

    def count(self, query: Query) -> int:
        return sum(counting.total(self, listing) for listing in self._counted(query))

    def count_within(self, query: Query, most: int) -> tuple[int, bool]:
        result = 0
        for listing in self._counted(query):
            found, exact = counting.within(self, listing, most - result)
            result += found
            if not exact:
                return result, False
        return result, True

    def _counted(self, query: Query) -> Iterator[Listing]:
        """What a query lists of each type, in no order."""
        for resource_type, predicate in self._parts(query):
            yield self._remembered(query, resource_type, predicate, counted=True)

    def _remembered(
        self, query: Query, resource_type: str, predicate: Predicate | None, *, counted: bool = False
    ) -> Listing:
        """The `listing` of a query, without its order where its matches are `counted`. It is remembered with the query:
        to take a predicate apart, and to find the statements for it, takes longer than to run them.
        """
        key = "counted" if counted else "listed", resource_type
        found: Listing | None = query.memo.get(key)
        if found is None:
            found = self.listing(Query({}) if counted else query, resource_type, predicate)
            query.memo[key] = found
        return found


def _full(found: Sequence[Hit], most: int | None) -> bool:
    """Whether some hits are all that `limited` would keep."""
    return most is not None and len(found) > 1 and sum(map(held, found)) > most
