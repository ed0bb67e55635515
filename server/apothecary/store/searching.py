"""Searches on either database: what is run for a page, a total, an explanation. `choosing` says where it starts, `plan`
has the statements.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from apothecary.search.predicates import Predicate
from apothecary.search.query import Cursor, Query
from apothecary.store import choosing, fulltext, plan
from apothecary.store.contract import Hit, Page
from apothecary.store.order import order_of, ties_with
from apothecary.store.shape import shape, values
from apothecary.store.sorting import Start
from apothecary.store.statements import Statement, Statements


class SqlSearcher(ABC):
    """Searching, by the store itself or inside a transaction."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements

    @abstractmethod
    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        """Run a reading statement and fetch all rows."""

    def sequence(self, items: Iterable[str]) -> Any:
        """A list of texts as one bound value."""
        return json.dumps(list(items)) if self.statements.dialect.name == "sqlite" else list(items)

    def values(self, predicate: Predicate | None) -> dict[str, Any]:
        """What is bound in the statements of a predicate."""
        return values(predicate, self.sequence, partial(fulltext.phrase, self.statements.dialect))

    def search(self, query: Query) -> Page:
        backwards = query.cursor is not None and query.cursor.backwards
        # A cursor without an id is the end of the list: nothing lies beyond it.
        place = query.cursor if query.cursor is not None and query.cursor.id else None
        # One more than the page holds tells whether there is another page.
        wanted = query.count + 1
        found: list[Hit] = []
        parts = list(query.predicates.items())
        for resource_type, predicate in reversed(parts) if backwards else parts:
            ties = ties_with(place, resource_type, bool(query.sort))
            if ties is None:
                continue
            hits = self._page(
                query, resource_type, predicate, ties, backwards, wanted if query.sort else wanted - len(found)
            )
            found += hits
            if not query.sort and len(found) >= wanted:
                break
        if query.sort and len(query.predicates) > 1:
            found.sort(key=order_of(query), reverse=backwards)
        more = len(found) > query.count
        found = found[: query.count]
        if backwards:
            return Page(found[::-1], more_after=place is not None, more_before=more)
        return Page(found, more_after=more, more_before=query.cursor is not None)

    def _page(
        self, query: Query, resource_type: str, predicate: Predicate | None, ties: str, backwards: bool, limit: int
    ) -> list[Hit]:
        known = query.memo.get(resource_type) if query.cursor is None else None
        if known is not None:
            return self._hits(query, resource_type, *known)
        cursor = query.cursor if query.cursor is not None and query.cursor.id else None
        start, settled = choosing.choose(self, resource_type, predicate, query.sort)
        steps = choosing.steps(start, cursor, backwards)
        found: list[Hit] = []
        for begin, place in steps:
            statement, bound = self._statement(
                query, resource_type, predicate, begin, place, ties, backwards, limit - len(found)
            )
            # A first page in one step that needs no counting runs the same statement with the same values every time.
            if settled and query.cursor is None and len(steps) == 1 and len(query.predicates) == 1:
                query.memo[resource_type] = statement, bound
            found += self._hits(query, resource_type, statement, bound)
            if len(found) >= limit:
                break
        return found

    def _hits(self, query: Query, resource_type: str, statement: Statement, bound: Sequence[Any]) -> list[Hit]:
        if query.scored:
            count = len(query.sort)
            place = next((number for number, one in enumerate(query.sort) if one.column == "score"), count)
            return [
                Hit(resource_type, identity, version, updated, fhir_version, body, tuple(keys[:count]), keys[place])
                for identity, version, updated, fhir_version, body, *keys in self.rows(statement, bound)
            ]
        return [
            Hit(resource_type, identity, version, updated, fhir_version, body, tuple(keys))
            for identity, version, updated, fhir_version, body, *keys in self.rows(statement, bound)
        ]

    def _statement(
        self,
        query: Query,
        resource_type: str,
        predicate: Predicate | None,
        start: Start,
        cursor: Cursor | None,
        ties: str,
        backwards: bool,
        limit: int,
    ) -> tuple[Statement, tuple[Any, ...]]:
        """The statement for (a part of) one page of one type, and its values."""
        missing = tuple(value is None for value in cursor.values) if cursor else None
        statement = self.statements.get(
            ("page", resource_type, shape(predicate), start, query.sort, missing, ties, backwards, query.scored),
            lambda: plan.page(
                self.statements.dialect,
                resource_type,
                predicate,
                start,
                query.sort,
                cursor,
                ties,
                backwards,
                query.scored,
            ),
        )
        named = {**self.values(predicate), "limit": limit}
        if cursor is not None:
            named |= {"after": cursor.id, **{f"c{number}": value for number, value in enumerate(cursor.values)}}
        return statement, statement.bind(named)

    def explain(self, query: Query) -> list[str]:
        lines = []
        sqlite = self.statements.dialect.name == "sqlite"
        for resource_type, predicate in query.predicates.items():
            start, _ = choosing.choose(self, resource_type, predicate, query.sort)
            for number in plan.candidates(predicate):
                if predicate is not None:
                    counted, _ = choosing.bounded_count(self, resource_type, predicate, number, plan.FEW + 1)
                    lines.append(f"part {number} matches {counted}{' or more' if counted > plan.FEW else ''} rows")
            for begin, _ in choosing.steps(start, None, False):
                statement, bound = self._statement(
                    query, resource_type, predicate, begin, None, "after", False, query.count + 1
                )
                lines.append(f"{resource_type}: {' '.join(statement.text.split())}")
                # PostgreSQL tells how many rows each step really read; SQLite has the way only.
                verb = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN (ANALYZE, TIMING OFF)"
                explained = Statement(f"{verb} {statement.text}", (), {})
                lines += [f"  {row[-1] if sqlite else row[0]}" for row in self.rows(explained, bound)]
        return lines

    def count(self, query: Query) -> int:
        result = 0
        for resource_type, predicate in query.predicates.items():
            statement = self.statements.get(
                ("total", resource_type, shape(predicate)),
                partial(plan.total, self.statements.dialect, resource_type, predicate),
            )
            result += int(self.rows(statement, statement.bind(self.values(predicate)))[0][0])
        return result
