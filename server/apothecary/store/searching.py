"""Searches on either database: what is run for a page, a total, an explanation. `choosing` says where it starts, `plan`
has the statements.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from apothecary.search.contained import unmarked
from apothecary.search.predicates import Predicate
from apothecary.search.query import Query
from apothecary.store import choosing, fulltext, plan, reads
from apothecary.store.contract import Hit, Page
from apothecary.store.limited import held, limited
from apothecary.store.listed import listed
from apothecary.store.listing import Listing, Place, Start
from apothecary.store.order import order_of, ties_with
from apothecary.store.shape import values
from apothecary.store.statements import Statement, Statements


class SqlSearcher(ABC):
    """Searching, by the store itself or inside a transaction."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements

    @abstractmethod
    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        """Run a reading statement and fetch all rows, or with `most` those that `limited` keeps."""

    def sequence(self, items: Iterable[str]) -> Any:
        """A list of texts as one bound value."""
        return json.dumps(list(items)) if self.statements.dialect.name == "sqlite" else list(items)

    def listing(self, query: Query, resource_type: str, predicate: Predicate | None) -> Listing:
        """What a query lists of one type."""
        phrase = partial(fulltext.phrase, self.statements.dialect)
        sort = tuple(one.of(unmarked(resource_type)) for one in query.sort)
        return Listing(resource_type, predicate, values(predicate, self.sequence, phrase), sort, query.scored)

    def search(self, query: Query, most: int | None = None) -> Page:
        backwards = query.cursor is not None and query.cursor.backwards
        # A cursor without an id is the end of the list: nothing lies beyond it.
        cursor = query.cursor if query.cursor is not None and query.cursor.id else None
        # One more than the page holds tells whether there is another page.
        wanted = query.count + 1
        found: list[Hit] = []
        parts = self._parts(query)
        for resource_type, predicate in reversed(parts) if backwards else parts:
            ties = ties_with(cursor, resource_type, bool(query.sort))
            if ties is None:
                continue
            place = Place(cursor, ties, backwards)
            limit = wanted if query.sort else wanted - len(found)
            found += self._page(query, resource_type, predicate, place, limit, most)
            if len(parts) == 1:
                break
            if query.sort and len(query.predicates) > 1:
                found.sort(key=order_of(query), reverse=backwards)
            if most is not None:
                found = limited(found, most)
            if not query.sort and (len(found) >= wanted or _full(found, most)):
                break
        more = len(found) > query.count
        found = found[: query.count]
        if backwards:
            return Page(found[::-1], more_after=cursor is not None, more_before=more)
        return Page(found, more_after=more, more_before=query.cursor is not None)

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
    ) -> list[Hit]:
        known = query.memo.get(resource_type) if query.cursor is None else None
        if known is not None:
            statement, bound = known
            return self._hits(query, resource_type, statement, bound, most)
        listing = self.listing(query, resource_type, predicate)
        start, settled = choosing.choose(self, listing)
        steps = choosing.steps(start, place)
        found: list[Hit] = []
        for begin, where in steps:
            statement, bound = self._statement(listing, begin, where, limit - len(found))
            # A first page in one step that needs no counting runs the same statement with the same values every time.
            if settled and query.cursor is None and len(steps) == 1 and len(query.predicates) == 1:
                query.memo[resource_type] = statement, bound
            found += self._hits(query, resource_type, statement, bound, most)
            if len(steps) == 1 or len(found) >= limit or _full(found, most):
                break
        return found

    def _hits(
        self, query: Query, resource_type: str, statement: Statement, bound: Sequence[Any], most: int | None
    ) -> list[Hit]:
        rows = self.rows(statement, bound, most)
        if query.scored:
            count = len(query.sort)
            place = next((number for number, one in enumerate(query.sort) if one.column == "score"), count)
            return [
                Hit(resource_type, identity, version, updated, fhir_version, body, tuple(keys[:count]), keys[place])
                for identity, version, updated, fhir_version, body, *keys in rows
            ]
        # The columns of a resource, and behind them the values that it is sorted by.
        return [Hit(resource_type, row[0], row[1], row[2], row[3], row[4], row[5:]) for row in rows]

    def _statement(self, listing: Listing, start: Start, place: Place, limit: int) -> tuple[Statement, tuple[Any, ...]]:
        """The statement for (a part of) one page, and its values."""
        statement = listed(
            self.statements,
            ("page", start, listing.sort, place.shape, listing.scored),
            listing,
            lambda one: plan.page(self.statements.dialect, one, start, place),
        )
        bound = {**listing.values, "limit": limit}
        if place.cursor is not None:
            bound |= {"after": place.cursor.id}
            bound |= {f"c{number}": value for number, value in enumerate(place.cursor.values)}
        return statement, statement.bind(bound)

    def explain(self, query: Query) -> list[str]:
        lines = []
        sqlite = self.statements.dialect.name == "sqlite"
        for resource_type, predicate in query.predicates.items():
            listing = self.listing(query, resource_type, predicate)
            start, _ = choosing.choose(self, listing)
            for number in listing.candidates:
                counted, _ = choosing.bounded_count(self, listing, number, plan.FEW + 1)
                lines.append(f"part {number} matches {counted}{' or more' if counted > plan.FEW else ''} rows")
            for begin, place in choosing.steps(start, Place()):
                statement, bound = self._statement(listing, begin, place, query.count + 1)
                lines.append(f"{resource_type}: {' '.join(statement.text.split())}")
                # PostgreSQL tells how many rows each step really read; SQLite has the way only.
                verb = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN (ANALYZE, TIMING OFF)"
                explained = Statement(f"{verb} {statement.text}", (), {})
                lines += [f"  {row[-1] if sqlite else row[0]}" for row in self.rows(explained, bound)]
        return lines

    def count_few(self, query: Query, limit: int) -> int | None:
        unordered, result = Query(query.predicates), 0
        for resource_type, predicate in self._parts(query):
            listing = self.listing(unordered, resource_type, predicate)
            start, _ = choosing.choose(self, listing)
            if predicate is not None and not isinstance(start, int):
                return None  # every resource of the type would be looked at
            few = partial(plan.few, self.statements.dialect, start=start)
            statement = listed(self.statements, ("few", start), listing, few)
            bound = statement.bind({**listing.values, "limit": limit + 1 - result})
            result += int(self.rows(statement, bound)[0][0])
            if result > limit:
                return None
        return result

    def count(self, query: Query) -> int:
        result = 0
        for resource_type, predicate in self._parts(query):
            listing = self.listing(query, resource_type, predicate)
            statement = listed(self.statements, ("total",), listing, partial(plan.total, self.statements.dialect))
            result += int(self.rows(statement, statement.bind(listing.values))[0][0])
        return result


def _full(found: Sequence[Hit], most: int | None) -> bool:
    """Whether some hits are all that `limited` would keep."""
    return most is not None and len(found) > 1 and sum(map(held, found)) > most
