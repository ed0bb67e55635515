"""The store's methods, once for both databases; `sqlite.py` and `postgresql.py` add what only they need."""

from __future__ import annotations

import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Dialect

from server.errors import Busy
from server.search.predicates import Predicate
from server.search.query import Cursor, Query
from server.store import choosing, fulltext, plan, reads, similar, tables
from server.store.contract import Hit, Page, Past, Stored, Transaction
from server.store.order import order_of, ties_with
from server.store.shape import shape, values
from server.store.sorting import Start
from server.store.statements import Statement, Statements

# How often a transaction is tried before its client is told to try again.
ATTEMPTS = 12

T = TypeVar("T")


class SqlReader(ABC):
    """Reading, by the store itself or inside a transaction. See `contract.Reader` for what the methods promise."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements
        self._read = statements.get("read", reads.current)
        self._read_version = statements.get("read version", reads.version)

    @abstractmethod
    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]:
        """Run a reading statement and fetch all rows."""

    def sequence(self, items: Iterable[str]) -> Any:
        """A list of texts as one bound value."""
        return json.dumps(list(items)) if self.statements.dialect.name == "sqlite" else list(items)

    def values(self, predicate: Predicate | None) -> dict[str, Any]:
        """What is bound in the statements of a predicate."""
        return values(predicate, self.sequence, partial(fulltext.phrase, self.statements.dialect))

    # -- reading

    def read(self, resource_type: str, resource_id: str) -> Stored | None:
        found = self.rows(self._read, (resource_type, resource_id))
        return Stored(*found[0]) if found else None

    def read_version(self, resource_type: str, resource_id: str, version: int) -> Past | None:
        found = self.rows(self._read_version, (resource_type, resource_id, version))
        return Past(*found[0]) if found else None

    def read_many(self, keys: Sequence[tuple[str, str]]) -> list[Stored]:
        by_type: dict[str, list[str]] = {}
        for resource_type, resource_id in keys:
            by_type.setdefault(resource_type, []).append(resource_id)
        found = []
        for resource_type, ids in by_type.items():
            statement = self.statements.get("read many", lambda: reads.many(self.statements.dialect))
            found += [
                Stored(*row)
                for row in self.rows(statement, statement.bind({"type": resource_type, "ids": self.sequence(ids)}))
            ]
        return found

    def history(
        self, resource_type: str, resource_id: str, *, count: int, before: int | None = None, since: int | None = None
    ) -> list[Past]:
        statement = self.statements.get(
            ("history", before is None, since is None), lambda: reads.history(before is not None, since is not None)
        )
        bound = {"type": resource_type, "id": resource_id, "before": before, "since": since, "limit": count}
        return [Past(*row) for row in self.rows(statement, statement.bind(bound))]

    def history_total(self, resource_type: str, resource_id: str, *, since: int | None = None) -> int:
        statement = self.statements.get(
            ("history total", since is None), lambda: reads.history_total(since is not None)
        )
        return int(
            self.rows(statement, statement.bind({"type": resource_type, "id": resource_id, "since": since}))[0][0]
        )

    def history_of(
        self,
        resource_type: str | None,
        *,
        count: int,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        before: tuple[int, str, str, int] | None = None,
    ) -> list[Past]:
        given = tuple(one is not None for one in (resource_type, types, since, at, before))
        statement = self.statements.get(
            ("history of", *given), partial(reads.history_of, self.statements.dialect, *given)
        )
        bound = self._window(resource_type, types, since, at) | {"limit": count}
        if before is not None:
            bound |= dict(zip(("before_updated", "before_type", "before_id", "before_version"), before, strict=True))
        return [Past(*row) for row in self.rows(statement, statement.bind(bound))]

    def history_of_total(
        self,
        resource_type: str | None,
        *,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int:
        given = tuple(one is not None for one in (resource_type, types, since, at))
        statement = self.statements.get(
            ("history of total", *given), partial(reads.history_of_total, self.statements.dialect, *given)
        )
        bound = self._window(resource_type, types, since, at)
        return int(self.rows(statement, statement.bind(bound))[0][0])

    def _window(
        self, resource_type: str | None, types: Sequence[str] | None, since: int | None, at: tuple[int, int] | None
    ) -> dict[str, Any]:
        """The values of a history's window; a statement takes those that its shape has."""
        bound = {"type": resource_type, "types": self.sequence(types or ()), "since": since}
        return bound | dict(zip(("at_low", "at_high"), at or (), strict=False))

    def referrers(self, resource_type: str, resource_id: str, limit: int) -> list[tuple[str, str]]:
        statement = self.statements.get("referrers", reads.referrers)
        bound = {"target_type": resource_type, "target_id": resource_id, "limit": limit}
        return [(row[0], row[1]) for row in self.rows(statement, statement.bind(bound))]

    def existing(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        by_type: dict[str, list[str]] = {}
        for kind, identity in keys:
            by_type.setdefault(kind, []).append(identity)
        found: set[tuple[str, str]] = set()
        for kind, ids in by_type.items():
            statement = self.statements.get("existing", lambda: reads.existing(self.statements.dialect))
            found.update(
                (kind, row[0])
                for row in self.rows(statement, statement.bind({"type": kind, "ids": self.sequence(ids)}))
            )
        return found

    def all_of_type(self, resource_type: str) -> Iterator[Stored]:
        statement = self.statements.get("all of type", reads.all_of_type)
        last = ""
        while batch := self.rows(statement, statement.bind({"type": resource_type, "after": last, "limit": 500})):
            yield from (Stored(*row) for row in batch)
            last = batch[-1][1]

    def types(self) -> list[str]:
        """The types of which there is any resource."""
        statement = self.statements.get("types", reads.types)
        return [row[0] for row in self.rows(statement, statement.bind({}))]

    def state(self, name: str) -> str | None:
        statement = self.statements.get(
            "state", lambda: select(tables.state.c.value).where(tables.state.c.name == bindparam("name"))
        )
        found = self.rows(statement, statement.bind({"name": name}))
        return str(found[0][0]) if found else None

    # -- references between resources

    def referenced(
        self, source_type: str, parameter: str | None, target_type: str | None, sources: Sequence[str], limit: int
    ) -> list[tuple[str, str]]:
        statement = self.statements.get(
            ("referenced", parameter is None, target_type is None),
            lambda: reads.referenced(self.statements.dialect, parameter is not None, target_type is not None),
        )
        bound = {
            "type": source_type,
            "parameter": parameter,
            "target_type": target_type,
            "ids": self.sequence(sources),
            "limit": limit,
        }
        return [(row[0], row[1]) for row in self.rows(statement, statement.bind(bound))]

    def referring(
        self, source_type: str, parameter: str | None, targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        by_type: dict[str, list[str]] = {}
        for target_type, target_id in targets:
            by_type.setdefault(target_type, []).append(target_id)
        found: dict[tuple[str, str], None] = {}
        for target_type, ids in by_type.items():
            statement = self.statements.get(
                ("referring", parameter is None),
                lambda: reads.referring(self.statements.dialect, parameter is not None),
            )
            bound = {
                "type": source_type,
                "parameter": parameter,
                "target_type": target_type,
                "ids": self.sequence(ids),
                "limit": limit,
            }
            found.update(dict.fromkeys((source_type, row[0]) for row in self.rows(statement, statement.bind(bound))))
        return list(found)

    # -- searching

    def similar(self, resource_type: str, parameter: str, word: str) -> Sequence[tuple[str, int]]:
        statement = self.statements.get(
            ("similar", resource_type, parameter),
            lambda: similar.words(self.statements.dialect, resource_type, parameter),
        )
        bound = similar.values(word, self.sequence)
        return [(found, int(likeness)) for found, likeness in self.rows(statement, statement.bind(bound))]

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
        start = choosing.choose(self, resource_type, predicate, query.sort)
        steps = choosing.steps(start, cursor, backwards)
        found: list[Hit] = []
        for begin, place in steps:
            found += self._hits(
                query,
                resource_type,
                *self._statement(query, resource_type, predicate, begin, place, ties, backwards, limit - len(found)),
            )
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
        bound = statement.bind(named)
        # A first page that needs no counting runs the same statement with the same values every time.
        settled = start != "values" and start != "missing" and not choosing.needs_counting(predicate, query.sort)
        if settled and query.cursor is None and len(query.predicates) == 1:
            query.memo[resource_type] = statement, bound
        return statement, bound

    def explain(self, query: Query) -> list[str]:
        lines = []
        sqlite = self.statements.dialect.name == "sqlite"
        for resource_type, predicate in query.predicates.items():
            start = choosing.choose(self, resource_type, predicate, query.sort)
            for number in plan.candidates(predicate):
                if predicate is not None:
                    counted, _ = choosing.bounded_count(self, resource_type, predicate, number, plan.FEW + 1)
                    lines.append(f"part {number} matches {counted}{' or more' if counted > plan.FEW else ''} rows")
            for begin, _ in choosing.steps(start, None, False):
                statement, bound = self._statement(
                    query, resource_type, predicate, begin, None, "after", False, query.count + 1
                )
                lines.append(f"{resource_type}: {' '.join(statement.text.split())}")
                explained = Statement(f"{'EXPLAIN QUERY PLAN' if sqlite else 'EXPLAIN'} {statement.text}", (), {})
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


class SqlStore(SqlReader):
    """A store over one database: what each database does its own way."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(Statements(dialect))

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]: ...

    @abstractmethod
    def prepare(self) -> None:
        """Make the tables in an empty database; raise SchemaError for tables of another version. Any number of
        processes may do so at once.
        """

    @abstractmethod
    def retryable(self, error: Exception) -> bool:
        """Whether a transaction that failed with `error` may be tried again: somebody else's came between."""

    @abstractmethod
    def close(self) -> None: ...

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and commit it; run it again, a bounded number of times, where another came
        between.

        `work` must have no effect but through its transaction. Raises Busy when no try succeeds.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except Exception as error:
                if not self.retryable(error):
                    raise
                # Apart in time, or the same writers meet again.
                time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 (no secret)
        raise Busy("the database is busy with other writes; try again", headers={"Retry-After": "1"})


def too_long(seconds: float) -> Busy:
    """What a statement is answered with that reached the limit of time."""
    return Busy(
        f"the search ran longer than the limit of {seconds:g} seconds",
        code="timeout",
        remedy="Ask for less: more parameters, fewer chains, a smaller _count.",
        headers={"Retry-After": "10"},
    )
